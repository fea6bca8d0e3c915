"""Virtual keys, users and API keys."""
