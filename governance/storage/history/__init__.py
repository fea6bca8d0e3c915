"""Reads and checks the usage history: the usage in each 15 minutes (a bucket), day and month."""
