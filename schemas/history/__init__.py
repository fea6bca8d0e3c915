"""The queries and the responses about usage over time."""
