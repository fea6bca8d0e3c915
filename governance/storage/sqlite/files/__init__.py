"""The life of a database file: made, checked at a start, copied, restored, compacted."""
