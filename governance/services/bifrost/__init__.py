"""Moving in from Bifrost's store."""
