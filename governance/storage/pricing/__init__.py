"""Price overrides, and the models without a known price."""
