"""Converts the rows of a database of Bifrost (an LLM gateway) for an import. The schemas of HTTP bodies check them."""
