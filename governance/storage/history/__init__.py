"""Reads, sums and checks the buckets of usage."""
