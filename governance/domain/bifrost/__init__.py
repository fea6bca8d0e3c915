"""Moving in from Bifrost: its rows, what belongs together, and what is decided of each."""
