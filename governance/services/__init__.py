"""The acts: what can be done with limits and keys. No Flask, no SQL text; they raise domain errors."""
