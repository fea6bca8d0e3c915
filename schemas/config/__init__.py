"""Config files: the schemas of their entries, and the JSON of exports and plans."""
