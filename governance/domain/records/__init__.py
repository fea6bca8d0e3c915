"""Stored rows: their source, their pages, their changes since a mark, and their differences."""
