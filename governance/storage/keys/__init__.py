"""Reads and writes virtual keys, users, API keys, and the data of the dashboard's sessions."""
