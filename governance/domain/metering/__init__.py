"""Deciding about calls: which limits apply, whether there is room, and the life of a reservation."""
