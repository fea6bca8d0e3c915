"""Config files: their entries, their faults, and the plan that brings the database to what they say."""
