"""Config files, which set limits as code: the schemas of their entries, and the JSON of exports and plans."""
