"""Real servers for the examples to call."""

from threading import Thread

import pytest
from werkzeug.serving import make_server


@pytest.fixture
def serve():
    """Serve WSGI apps on ports of their own; answers their addresses."""
    servers = []

    def start(app):
        server = make_server("127.0.0.1", 0, app, threaded=True)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
