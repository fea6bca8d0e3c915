"""Reads the stored rows that are compared with a config file."""
