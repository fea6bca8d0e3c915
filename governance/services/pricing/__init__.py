"""Prices: the list, the overrides, and the price of a call."""
