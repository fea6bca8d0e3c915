"""Usage over time: buckets of usage, and queries about them."""
