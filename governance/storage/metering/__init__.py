"""Reservations, and the comparison of counters with their ledger."""
