"""Contains every SQL statement: tables, transactions and queries. Only this package knows how databases differ."""
