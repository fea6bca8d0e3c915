"""The services: the operations on limits and keys. They use no Flask and no SQL text, and raise domain errors."""
