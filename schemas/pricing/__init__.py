"""The bodies of price overrides, and prices as responses show them."""
