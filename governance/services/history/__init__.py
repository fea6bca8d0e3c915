"""Queries about past calls: usage over time, the windows of a limit with forecasts, and what-if queries."""
