"""The hand-written WSGI apps that the service is measured against, and how gunicorn serves them."""
