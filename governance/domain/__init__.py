"""The domain: pure functions and values. It imports the standard library only."""
