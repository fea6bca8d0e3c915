"""Prices of models, the tokens of a call, and the formats in which providers report tokens."""
