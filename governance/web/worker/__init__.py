"""The gunicorn worker of this service: one loop waits for all clients; threads get complete requests only."""
