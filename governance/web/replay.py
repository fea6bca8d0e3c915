"""A thin layer before Flask that gives a page from memory again, as Flask gave it, as long as nothing has changed.

Dashboards and gateways ask for the same page over and over. What Flask answered to the same words from the same key is
kept until the snapshot it was read from is replaced, one of its windows begins or ends, or the key no longer counts.
This parses nothing and decides nothing: whatever it does not know, or no longer trusts, goes to Flask.
"""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from governance.domain.times import Clock
from governance.memory.cache import SnapshotCache
from governance.memory.snapshot import Snapshot
from governance.services.authentication import Authentication
from governance.web.kept import REPEATABLE, Answer, Header, Kept, Repeatable, Words
from governance.web.requests import request_id

REPEATED = ("GET", "HEAD")


class Replay:
    """The app as WSGI sees it: Flask, and before it the answers that it has given."""

    def __init__(
        self, flask: WSGIApplication, cache: SnapshotCache, authentication: Authentication, clock: Clock
    ) -> None:
        self._flask = flask
        self._cache = cache
        self._authentication = authentication
        self._clock = clock
        self._kept = Kept(None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Give a known answer again, or have Flask find one."""
        if environ["REQUEST_METHOD"] not in REPEATED:
            return self._flask(environ, start_response)
        words, kept = _words(environ), self._kept
        answer = kept.answers.get(words)
        known = self._cache.peek() if answer else None
        if answer is None or known is None or known.snapshot is not kept.snapshot or not self._holds(answer):
            return self._asked(words, environ, start_response)
        answer.counter.inc()
        start_response(answer.status, answer.headers(int(self._cache.age(known)), request_id(environ)))
        return (answer.body,)

    def _holds(self, answer: Answer) -> bool:
        now = self._clock()
        return answer.valid_from <= now < answer.valid_until and self._authentication.again(answer.key, now)

    def _asked(self, words: Words, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        said: list[Any] = []

        def overheard(status: str, headers: list[Header], *error: Any) -> Any:
            said[:] = status, headers
            return start_response(status, headers, *error)

        body = self._flask(environ, overheard)
        repeatable: Repeatable | None = environ.get(REPEATABLE)
        if repeatable is None:
            return body
        kept = self._of(repeatable.held.snapshot)
        if not kept.asked_before(words):
            return body
        whole = _read(body)
        status, headers = said
        if not kept.keep(words, Answer.of(status, headers, whole, repeatable)):
            self._kept = Kept(kept.snapshot)
        return (whole,)

    def _of(self, snapshot: Snapshot) -> Kept:
        """What is kept of a snapshot; what was kept of another goes."""
        kept = self._kept
        if kept.snapshot is not snapshot:
            kept = self._kept = Kept(snapshot)
        return kept


def _read(body: Iterable[bytes]) -> bytes:
    """All of a body, which is closed as WSGI wants it."""
    whole = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return whole


def _words(environ: WSGIEnvironment) -> Words:
    """All of a request that an answer from memory depends on."""
    get = environ.get
    return (
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        get("QUERY_STRING", ""),
        get("HTTP_AUTHORIZATION", ""),
        get("HTTP_IF_NONE_MATCH", ""),
    )
