"""The SQL of the import from Bifrost. It reads Bifrost's SQLite file, and the ids that are stored here."""
