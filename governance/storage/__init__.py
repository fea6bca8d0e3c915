"""Every SQL statement: tables, transactions, queries. Only this package knows the differences between databases."""
