"""The import from Bifrost: its rows, the groups that the rows form, and the choice of the rows to import."""
