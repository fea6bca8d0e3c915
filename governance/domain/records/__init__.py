"""Rows as they are stored, read by page or since a mark, and compared."""
