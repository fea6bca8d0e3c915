"""The writer thread of a worker: it commits many acts in one transaction."""
