"""The gunicorn worker of this service. One loop waits for all clients.

Threads get only complete requests, with one exception: large bodies.
"""
