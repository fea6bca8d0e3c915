"""Model limits: list, read, create, change, delete, and the overview of their usage."""
