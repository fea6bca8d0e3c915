"""The operations on model limits."""
