"""SQL of the import from Bifrost: Bifrost's SQLite file, and the ids that are stored already."""
