"""The steps of every request: the Flask app, authentication, responses, errors, logs, the response cache."""
