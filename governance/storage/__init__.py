"""Every SQL statement: tables, transactions, queries. Differences between databases are hidden here."""
