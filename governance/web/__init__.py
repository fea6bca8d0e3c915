"""HTTP: blueprints, authentication, errors, conditional answers. Flask lives here."""
