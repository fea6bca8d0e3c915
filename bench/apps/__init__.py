"""The hand-written apps that the benchmark compares with the service, and the gunicorn settings for them."""
