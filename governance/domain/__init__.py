"""The rules of the business, as pure functions and values: the standard library only."""
