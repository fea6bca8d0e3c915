"""What is special to SQLite: the file, its transactions, its one writer at a time."""
