"""The domain: pure functions and values. It imports only the standard library."""
