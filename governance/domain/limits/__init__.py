"""Limits on the use of models: their values, time windows, amounts of money, and edits."""
