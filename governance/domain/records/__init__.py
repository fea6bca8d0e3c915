"""Stored rows: their sources, pages of rows, changes since a mark, and differences between two states of a row."""
