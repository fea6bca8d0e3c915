"""Creates, checks, copies, restores, migrates and compacts an SQLite database file."""
