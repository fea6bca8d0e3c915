"""Stores price overrides (prices that an admin sets), and counts the calls to models without a known price."""
