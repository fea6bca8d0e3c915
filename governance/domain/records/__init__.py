"""Stored rows: their sources, pages of rows, the changes since a mark, and the differences between two states of a row.
"""
