"""The hand-written apps that are measured next to the service, and gunicorn's settings for them."""
