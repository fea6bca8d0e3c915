"""Creates, checks, copies, restores, migrates and compacts a database file."""
