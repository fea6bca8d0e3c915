"""The snapshot: an immutable copy of the database in the memory of a worker, which answers without SQL."""
