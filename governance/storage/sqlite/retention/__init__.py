"""Dropping what is old in short transactions, and giving the room back."""
