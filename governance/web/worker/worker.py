"""gunicorn's threaded worker, with one difference: its loop alone waits for peers, and no wait is without an end.

The loop receives, until a message is complete; a thread reads it, has the app answer it, and sends what the peer takes
at once; the loop sends the rest. So a thread computes or waits for the database, and never for a peer: but for a body
of more than 1 MiB, which the app takes from one caller at a time, and only after it has let it in.

What else of gunicorn this relies on is in `RELIED_ON` of `tests/web/worker/test_gunicorn.py`.
"""

import logging
from io import BytesIO
from typing import Any

from gunicorn import http
from gunicorn.errors import ConfigError
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData

from governance.domain.deadlines import note_arrival
from governance.web.worker import refusals
from governance.web.worker.connection import Connection
from governance.web.worker.framing import MAX_HEAD
from governance.web.worker.loop import PeerLoop

logger = logging.getLogger("governance.web")


class Worker(PeerLoop):
    """The worker that `gunicorn.conf.py` names."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not speak."""
        super().check_config(cfg, log)
        if cfg.is_ssl or cfg.proxy_protocol != "off" or cfg.protocol != "http":
            raise ConfigError("Leave TLS and the PROXY protocol to a reverse proxy: this worker speaks HTTP/1.1.")

    def handle(self, connection: Connection) -> bool:
        """Answer a message, in a thread. Returns whether the connection can be used again.

        More of the message will not come, be it complete or not, unless it is a large one.
        """
        note_arrival(connection.came_at)
        is_reusable = self._answered(connection)
        try:
            connection.answer()
        except OSError:  # the peer has gone
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
            elif connection.is_chunked:  # read here, so that a faulty one is refused before anything is answered
                request.body = BytesIO(request.body.read())
            return bool(self.handle_request(request, connection))  # nothing to drain: the message was handed over alone
        except (NoMoreData, StopIteration):
            if len(connection.message) > MAX_HEAD:
                self.handle_error(request, connection.sock, connection.client, LimitRequestHeaders(""))
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer is told
            self.handle_error(request, connection.sock, connection.client, error)
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer an error in the service's shape, in place of what may have been written."""
        refusal = refusals.refusal_of(exc)
        if refusal is refusals.UNFORESEEN:
            logger.error("an error that was not foreseen", exc_info=exc)
        client.close()
        client.sendall(self.refusals.rendered(refusal, addr, req))
