"""The service for model limits."""
