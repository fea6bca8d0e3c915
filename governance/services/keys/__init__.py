"""The operations on virtual keys, users and API keys, and authentication."""
