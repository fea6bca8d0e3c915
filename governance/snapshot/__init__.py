"""The in-process memory: a snapshot of the database, swapped whole, that answers without SQL."""
