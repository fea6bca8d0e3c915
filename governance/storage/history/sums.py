"""The largest sum of usage, and the error of a larger sum. SQLite's sum of integers is exact, but fails beyond 2^63."""

LARGEST = 2**62
"""The largest sum that is stored or shown. Real calls never reach it, but a client may report such usage."""


def is_overflow(error: Exception) -> bool:
    """Return whether SQLite failed because the sum of integers is too large."""
    return "integer overflow" in str(error)
