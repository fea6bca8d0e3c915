"""Price overrides, and the models for which no price is known."""
