"""Price overrides, and the models whose price nobody knew."""
