"""Where the models come from, a module a library."""
