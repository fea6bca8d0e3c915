"""A thin layer before Flask that gives a page from memory again, as Flask gave it, as long as nothing has changed.

Dashboards and gateways ask for the same page over and over. What Flask answered to the same words from the same key is
kept until the snapshot it was read from is replaced, one of its windows begins or ends, or the key no longer counts.
This parses nothing and decides nothing: whatever it does not know, or no longer trusts, goes to Flask.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import Counter

from governance.domain.keys import ApiKey
from governance.domain.times import Clock
from governance.memory.cache import SnapshotCache
from governance.memory.reader import Held
from governance.memory.snapshot import Snapshot
from governance.services.authentication import Authentication
from governance.services.statistics import requests_counted
from governance.web.requests import request_id

Headers = list[tuple[str, str]]
Words = tuple[str, ...]

REPEATED = ("GET", "HEAD")
REPEATABLE = "governance.repeatable"
MOST_BYTES = 16 * 1024 * 1024
OVERHEAD = 2_000
"""What keeping one answer takes beside its body."""


class Repeatable(NamedTuple):
    """What a view says of its answer: who was given it, at which endpoint, and for how long it holds."""

    key: ApiKey
    endpoint: str
    held: Held


class Answer(NamedTuple):
    """What Flask answered, and in which span of time it would again."""

    status: str
    headers: Headers
    body: bytes
    key: ApiKey
    counter: Counter
    valid_from: int
    valid_until: int


@dataclass(slots=True)
class Kept:
    """The answers from one snapshot; they go together, so that no old snapshot lives on in them, or when they fill up.

    A hit writes nothing, so readers need no lock.
    """

    snapshot: Snapshot | None
    answers: dict[Words, Answer] = field(default_factory=dict)
    held: int = 0


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
        self._lock = Lock()

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
        fresh = {"Age": str(int(self._cache.age(known))), "X-Request-Id": request_id(environ)}
        start_response(answer.status, [(name, fresh.get(name, value)) for name, value in answer.headers])
        return (answer.body,)

    def _holds(self, answer: Answer) -> bool:
        now = self._clock()
        return answer.valid_from <= now < answer.valid_until and self._authentication.again(answer.key, now)

    def _asked(self, words: Words, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        said: list[Any] = []

        def overheard(status: str, headers: Headers, *error: Any) -> Any:
            said[:] = status, headers
            return start_response(status, headers, *error)

        body = self._flask(environ, overheard)
        repeatable: Repeatable | None = environ.get(REPEATABLE)
        if repeatable is None:
            return body
        whole = _read(body)
        status, headers = said
        counter = requests_counted(repeatable.endpoint, int(status[:3]))
        snapshot, valid_from, valid_until = repeatable.held
        self._keep(words, Answer(status, headers, whole, repeatable.key, counter, valid_from, valid_until), snapshot)
        return (whole,)

    def _keep(self, words: Words, answer: Answer, snapshot: Snapshot) -> None:
        size = len(answer.body) + OVERHEAD
        if size > MOST_BYTES:
            return
        with self._lock:
            if self._kept.snapshot is not snapshot or self._kept.held + size > MOST_BYTES:
                self._kept = Kept(snapshot)
            self._kept.answers[words] = answer
            self._kept.held += size


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
