"""Reservations and the proof of their ledger."""
