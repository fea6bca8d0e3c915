"""The schemas of queries about past usage, and functions that write the responses as JSON or CSV."""
