"""WSGI middleware that caches Flask's responses with pages from memory, and sends them again while they are valid.

A page from memory is a page of a list that is read from the snapshot, which is this worker's copy of the database in
memory. Dashboards and gateways request the same page many times. If the same request comes with the same API key, the
cache sends Flask's response again. A cached response becomes invalid when the snapshot is replaced, when a time window
of a rule on the page begins or ends, or when the key is no longer valid.

A view sets `HttpResponse.validity`, and the last hook of the request caches the response. The cache parses nothing and
decides nothing: every other request goes to Flask. A response is cached only when the same request comes a second time,
because most requests come only once. Caching every response took a tenth of the time of a request.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple, Protocol, Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import Counter

from governance.domain.keys import ApiKey
from governance.domain.records.list_query import Validity
from governance.domain.times import Clock
from governance.services.keys.authentication import Authentication
from governance.services.metering.statistics import requests_counted
from governance.web.http.flask_app import HttpRequest, HttpResponse
from governance.web.http.request_ids import REQUEST_ID, request_id

Header = tuple[str, str]
REPEATED = ("GET", "HEAD")
MOST_BYTES = 16 * 1024 * 1024
OVERHEAD = 2_000
"""The number of bytes that a cached response needs in addition to its body."""
MOST_ASKED = 128
"""The largest number of requests that are remembered as seen once. At the next one, all of them are forgotten."""
AGE = "Age"
QUESTION = "governance.question"
"""The key in the environ for the digest of the request."""


class Memory(Protocol):
    """The part of the snapshot cache that this module uses."""

    def peek(self) -> Any:
        """Return the loaded snapshot, or None if it has expired."""

    def age(self, known: Any, /) -> float:
        """Return the number of seconds since the snapshot was last compared with the database."""


def question(environ: WSGIEnvironment) -> bytes:
    """Return a digest of all parts of a request on which a page from memory depends.

    The cache stores this digest and not the parts, so that no API key stays in memory. The digested text contains one
    part in each line. Only the path can contain a line break, and the path comes last. So different requests never have
    the same text.
    """
    get = environ.get
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    query, key, known = get("QUERY_STRING", ""), get("HTTP_AUTHORIZATION", ""), get("HTTP_IF_NONE_MATCH", "")
    return blake2b(f"{method}\n{query}\n{key}\n{known}\n{path}".encode(errors="surrogatepass")).digest()


class CachedResponse(NamedTuple):
    """A response of Flask, the time span in which it is valid, and the metric that counts its requests.

    The headers are in two parts, before and after `Age`. `Age` and the id of the request are added to each response,
    because they change.
    """

    status: str
    before_age: Sequence[Header]
    behind_age: Sequence[Header]
    body: bytes
    key: ApiKey
    counter: Counter
    valid_from: int
    valid_until: int

    @classmethod
    def of(cls, response: HttpResponse, validity: Validity, request: HttpRequest) -> Self:
        """Convert a response of Flask to the parts that WSGI needs."""
        body, status, headers = response.get_wsgi_response(request.environ)
        age = [name for name, _ in headers].index(AGE)
        counter = requests_counted(request.endpoint or "none", response.status_code)
        span = validity.valid_from, validity.valid_until
        behind = headers[age + 1 : -1]  # the last header is the id of this request
        return cls(status, headers[:age], behind, b"".join(body), request.api_key, counter, *span)

    def headers(self, age: int, request_id: str) -> list[Header]:
        """Return the headers with the current `Age` and the id of this request."""
        return [*self.before_age, (AGE, str(age)), *self.behind_age, (REQUEST_ID, request_id)]


class SnapshotResponses:
    """The cached responses for one snapshot.

    When the snapshot is replaced or the cache is full, the whole object is replaced. So the cache keeps no old snapshot
    in memory. A cache hit writes nothing here, so readers need no lock.
    """

    def __init__(self, snapshot: object) -> None:
        self.snapshot = snapshot
        self.known: dict[bytes, CachedResponse] = {}
        self.asked: set[bytes] = set()
        self._bytes = 0
        self._lock = Lock()

    def asked_before(self, asked: bytes) -> bool:
        """Return whether the request was seen before, and remember the request."""
        with self._lock:
            if asked in self.asked:
                return True
            if len(self.asked) >= MOST_ASKED:
                self.asked.clear()
            self.asked.add(asked)
            return False

    def keep(self, asked: bytes, answer: CachedResponse) -> bool:
        """Cache a response if there is room. Return whether it was cached."""
        size = len(answer.body) + OVERHEAD
        with self._lock:
            if self._bytes + size > MOST_BYTES:
                return False
            self.known[asked] = answer
            self._bytes += size
        return True


class ResponseCache:
    """A WSGI app that answers from the cache, or calls Flask."""

    def __init__(self, flask: WSGIApplication, memory: Memory, authentication: Authentication, clock: Clock) -> None:
        self._flask = flask
        self._memory = memory
        self._authentication = authentication
        self._clock = clock
        self.answers = SnapshotResponses(None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Return a cached response if it is still valid. Otherwise call Flask."""
        if environ["REQUEST_METHOD"] not in REPEATED:
            return self._flask(environ, start_response)
        answers = self.answers
        asked = environ[QUESTION] = question(environ)
        answer = answers.known.get(asked)
        slot = self._memory.peek() if answer else None
        if answer is None or slot is None or slot.snapshot is not answers.snapshot or not self._holds(answer):
            return self._flask(environ, start_response)
        answer.counter.inc()
        start_response(answer.status, answer.headers(int(self._memory.age(slot)), request_id(environ)))
        return (answer.body,)

    def keep(self, response: HttpResponse, validity: Validity, request: HttpRequest) -> None:
        """Cache the response to a request that was seen before."""
        answers, asked = self.answers, request.environ[QUESTION]
        if answers.snapshot is not validity.snapshot:  # this drops the responses of the old snapshot
            answers = self.answers = SnapshotResponses(validity.snapshot)
        if not answers.asked_before(asked) or "Set-Cookie" in response.headers:
            return
        if not answers.keep(asked, CachedResponse.of(response, validity, request)):
            self.answers = SnapshotResponses(validity.snapshot)

    def _holds(self, answer: CachedResponse) -> bool:
        now = self._clock()
        return answer.valid_from <= now < answer.valid_until and self._authentication.check_and_touch(answer.key, now)
