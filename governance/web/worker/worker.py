"""A changed form of gunicorn's threaded worker: one loop, not a thread for each client, waits for clients.

The loop (`loop.py`) receives a request (here called a message) until it is complete. A thread parses the message, calls
the app, and sends as much of the response as the socket accepts at once. The loop sends the rest. Each time that the
loop waits for a client, a timeout applies. A thread waits for a client only if a body is larger than 1 MiB. The app
reads such bodies from one client at a time, after authentication.

`RELIED_ON` in `tests/web/worker/test_gunicorn.py` lists the parts of gunicorn that this module uses.
"""

import logging
from io import BytesIO
from typing import Any

from gunicorn import http
from gunicorn.errors import ConfigError
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData

from governance.domain.deadlines import note_arrival
from governance.web.worker import early_errors
from governance.web.worker.connection import Connection
from governance.web.worker.framing import MAX_HEAD
from governance.web.worker.loop import PeerLoop

logger = logging.getLogger("governance.web")


class Worker(PeerLoop):
    """The worker class that gunicorn's configuration (`gunicorn.conf.py`) selects."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise ConfigError for TLS, the PROXY protocol and protocols other than HTTP."""
        super().check_config(cfg, log)
        if cfg.is_ssl or cfg.proxy_protocol != "off" or cfg.protocol != "http":
            raise ConfigError("Leave TLS and the PROXY protocol to a reverse proxy: this worker speaks HTTP/1.1.")

    def handle(self, connection: Connection) -> bool:
        """Answer a message. gunicorn calls this in a thread.

        Return whether the connection can be used again. If the client has closed the connection, the message may be
        incomplete. If the message has a large body, this method also receives the rest of the body.
        """
        note_arrival(connection.came_at)
        is_reusable = self._answered(connection)
        try:
            connection.answer()
        except OSError:  # the client has closed the connection
            connection.unsent = []
            return False
        return is_reusable

    def _answered(self, connection: Connection) -> bool:
        request = None
        try:
            parser = http.get_parser(self.cfg, connection.pieces(self.waits.body.seconds), connection.client)
            request = next(parser)
            if not connection.is_whole:
                request.force_close()
            # read a chunked body here: a malformed body must be refused before the app runs
            elif connection.is_chunked:
                request.body = BytesIO(request.body.read())
            return bool(self.handle_request(request, connection))  # the message has no more bytes to read
        except (NoMoreData, StopIteration):
            if len(connection.message) > MAX_HEAD:
                self.handle_error(request, connection.sock, connection.client, LimitRequestHeaders(""))
        except Exception as error:  # noqa: BLE001 - the client gets a response to every error
            self.handle_error(request, connection.sock, connection.client, error)
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer an error with JSON. First drop the part of the response that gunicorn has written but not sent."""
        refusal = early_errors.refusal_of(exc)
        if refusal is early_errors.UNFORESEEN:
            logger.error("an error that was not foreseen", exc_info=exc)
        client.close()
        client.sendall(self.refusals.rendered(refusal, addr, req))
