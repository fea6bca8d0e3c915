"""The gunicorn worker of this service. One loop waits for all clients. Threads get complete requests only."""
