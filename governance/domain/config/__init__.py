"""Config files: their entries, their faults, and the plan that changes the database to match a file."""
