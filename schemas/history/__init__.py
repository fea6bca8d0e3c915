"""The queries and answers about usage over time."""
