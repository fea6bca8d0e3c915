"""Virtual keys, users, API keys, and authentication."""
