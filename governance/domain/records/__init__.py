"""Stored rows: with their source, in pages, as changes since a mark, and their differences."""
