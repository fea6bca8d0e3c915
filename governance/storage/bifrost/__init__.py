"""Reads Bifrost's SQLite file and this service's ids, for the import of limits from Bifrost, an LLM gateway."""
