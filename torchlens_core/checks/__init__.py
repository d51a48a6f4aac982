"""The five witnesses of a validation, each in a module of its own: a function of a `Trial`."""
