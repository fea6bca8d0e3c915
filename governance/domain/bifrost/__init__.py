"""The import from Bifrost: reads Bifrost's rows, groups them by limit, and chooses the rows to import."""
