"""What every request goes through: the Flask app, authentication, answers, errors, logs, the response cache."""
