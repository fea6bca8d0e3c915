"""Who spent what: buckets of usage, and the questions about them."""
