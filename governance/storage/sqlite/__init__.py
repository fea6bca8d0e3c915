"""The code that needs SQLite: the database file, transactions, and the writer."""
