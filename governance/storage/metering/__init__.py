"""Reads reservations and counts refused calls. Compares each counter with the sum of its ledger rows."""
