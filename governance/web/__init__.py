"""HTTP: blueprints, authentication, errors, conditional responses. Only this package and the commands use Flask."""
