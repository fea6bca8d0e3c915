"""The queries and bodies of the endpoints for proxies."""
