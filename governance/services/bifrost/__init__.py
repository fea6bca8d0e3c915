"""The import from Bifrost's store."""
