"""The lock that writers in all processes share, the processes that hold it, and the threads that wait for it."""
