"""Every SQL statement: tables, transactions, queries. What databases do differently ends here."""
