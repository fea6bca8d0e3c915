"""Config files: their entries, their faults, and the plan that makes the database agree with a file."""
