"""The tokens of a call, and the forms in which providers report them."""
