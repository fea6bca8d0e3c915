"""The bodies of price overrides, and the prices in responses."""
