"""HTTP: blueprints, authentication, errors and conditional responses. Only this package and the commands use Flask."""
