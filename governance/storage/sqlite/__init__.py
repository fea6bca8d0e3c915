"""The code that depends on SQLite: the database file, transactions, locks, and the thread that writes."""
