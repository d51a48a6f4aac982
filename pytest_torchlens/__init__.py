"""A pytest plugin to log forward passes, check them, and draw them."""
