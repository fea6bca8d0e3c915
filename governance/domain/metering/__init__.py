"""Decides about calls: which limits apply, whether their rules have room, and how a reservation's state changes."""
