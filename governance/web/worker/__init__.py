"""The gunicorn worker of this service: one loop waits for all peers, and threads see complete messages only."""
