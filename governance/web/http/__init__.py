"""What all requests need: the Flask app, authentication, responses, errors, logs, and the response cache."""
