"""The HTTP endpoints of the API: one file for each resource."""
