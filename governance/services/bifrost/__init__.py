"""The import of limits from the database of Bifrost, an LLM gateway."""
