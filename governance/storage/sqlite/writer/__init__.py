"""The writer thread of a worker, and the lock that gives all processes their turns."""
