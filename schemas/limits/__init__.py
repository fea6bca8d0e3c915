"""The schemas of model limits (with their budgets and rate limits) in requests and config files."""
