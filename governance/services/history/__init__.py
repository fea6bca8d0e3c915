"""Who spent what: usage over time."""
