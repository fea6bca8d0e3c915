"""Model limits as they come in."""
