"""Model limits, their rules and their counters."""
