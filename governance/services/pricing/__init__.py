"""Prices of models: the price list, and overrides, which are prices that the operator sets."""
