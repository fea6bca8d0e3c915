"""The code that depends on SQLite: the database file, transactions, and the writer."""
