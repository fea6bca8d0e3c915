"""The writer thread of a worker process. It commits the changes of many calls in one transaction."""
