"""The schemas of model limits in requests and files."""
