"""Virtual keys, users and API keys, and who is calling."""
