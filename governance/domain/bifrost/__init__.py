"""The import from the LLM gateway Bifrost: groups the rows of its database by limit, and chooses the rows to import."""
