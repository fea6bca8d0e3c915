"""Config files: their entries, their faults, and the plan that changes the database so that it matches a file."""
