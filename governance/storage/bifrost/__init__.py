"""The SQL of the import from Bifrost. The statements read Bifrost's SQLite file, and the ids that are stored here."""
