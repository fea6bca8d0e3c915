"""Reads and writes model limits, their rules and their counters."""
