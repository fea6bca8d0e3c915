"""The lock between the writers of all processes, its holders, and the threads that wait for it."""
