"""The snapshot: an immutable copy of the database in a worker's memory. It answers queries without SQL."""
