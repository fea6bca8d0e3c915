"""Prices of models, the tokens of a call, and the forms in which providers report tokens."""
