"""Reading Bifrost's own store."""
