"""Deletes old rows in short transactions, and returns free pages to the file system."""
