"""Sums of usage. SQLite's sum of integers is exact, and fails beyond 2^63."""

LARGEST = 2**62
"""No sum is stored or shown as more than this: no calls cost so much, but a client may report it."""


def is_overflow(error: Exception) -> bool:
    """Return whether SQLite could not add integers since their sum is too large."""
    return "integer overflow" in str(error)
