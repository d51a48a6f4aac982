"""Models written by hand from the papers that brought them, for what the libraries lack.

A module a theme, a class a paper: small widths, the mechanism of the paper, and its citation in the docstring.
Nothing is imported here, so that the catalogue can be listed without them. Constants of a pass, such as masks, are
made on torch's default device.
"""
