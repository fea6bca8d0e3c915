"""The in-process memory: an immutable snapshot of the database that answers without SQL."""
