"""The usage history: sums of usage over 15 minutes (buckets), and queries about them."""
