"""A thin layer before Flask that gives a page from memory again, as Flask gave it, as long as nothing has changed.

Dashboards and gateways ask for the same page over and over. What Flask answered to the same question from the same key
is given again until the snapshot it was read from is replaced, one of its windows begins or ends, or the key no longer
counts. A view says for how long with `HttpResponse.validity`, and Flask's last hook keeps such an answer. This layer
parses and decides nothing: whatever it does not know, or no longer trusts, goes to Flask. An answer is kept only when
its question comes a second time: most never come again, and keeping theirs too took a tenth of the time of a page.
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
"""What keeping one answer takes beside its body."""
MOST_ASKED = 128
"""How many questions are remembered as asked once; then all of these are forgotten."""
AGE = "Age"
QUESTION = "governance.question"
"""Where in its environ a request notes its question, for the answer to be kept under it."""


class Memory(Protocol):
    """The snapshot in force, in its slot: None where it has expired."""

    def peek(self) -> Any:
        """What is held now, with its `snapshot`."""

    def age(self, known: Any, /) -> float:
        """Seconds since what is held was last known to equal the database."""


def question(environ: WSGIEnvironment) -> bytes:
    """The digest of all that an answer from memory depends on; so no API key lies in memory as it was sent.

    Only a path can have a line break in it, and it is the last: no two requests have the same text.
    """
    get = environ.get
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    query, key, known = get("QUERY_STRING", ""), get("HTTP_AUTHORIZATION", ""), get("HTTP_IF_NONE_MATCH", "")
    return blake2b(f"{method}\n{query}\n{key}\n{known}\n{path}".encode(errors="surrogatepass")).digest()


class CachedResponse(NamedTuple):
    """What Flask answered, in which span of time it would again, and what counts that.

    The headers are those before and behind `Age`, which is new each time, as is the request's id behind them all.
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
        """The answer to a request, as WSGI gets it."""
        body, status, headers = response.get_wsgi_response(request.environ)
        age = [name for name, _ in headers].index(AGE)
        counter = requests_counted(request.endpoint or "none", response.status_code)
        span = validity.valid_from, validity.valid_until
        behind = headers[age + 1 : -1]  # the last one is the id of this request
        return cls(status, headers[:age], behind, b"".join(body), request.api_key, counter, *span)

    def headers(self, age: int, request_id: str) -> list[Header]:
        """The headers as they were, but for what is new each time."""
        return [*self.before_age, (AGE, str(age)), *self.behind_age, (REQUEST_ID, request_id)]


class SnapshotResponses:
    """The answers from one snapshot; they go together, with it or when no room is left, so that none lives on in them.

    A hit writes nothing, so readers need no lock.
    """

    def __init__(self, snapshot: object) -> None:
        self.snapshot = snapshot
        self.known: dict[bytes, CachedResponse] = {}
        self.asked: set[bytes] = set()
        self._bytes = 0
        self._lock = Lock()

    def asked_before(self, asked: bytes) -> bool:
        """Whether the question has come before, lately; from now on it has."""
        with self._lock:
            if asked in self.asked:
                return True
            if len(self.asked) >= MOST_ASKED:
                self.asked.clear()
            self.asked.add(asked)
            return False

    def keep(self, asked: bytes, answer: CachedResponse) -> bool:
        """Keep an answer, where there is room for it; whether there was."""
        size = len(answer.body) + OVERHEAD
        with self._lock:
            if self._bytes + size > MOST_BYTES:
                return False
            self.known[asked] = answer
            self._bytes += size
        return True


class ResponseCache:
    """The app as WSGI sees it: Flask, and before it the answers that it has given."""

    def __init__(self, flask: WSGIApplication, memory: Memory, authentication: Authentication, clock: Clock) -> None:
        self._flask = flask
        self._memory = memory
        self._authentication = authentication
        self._clock = clock
        self.answers = SnapshotResponses(None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Give a known answer again, or have Flask find one."""
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
        """Keep the answer to a question that has come before, as WSGI gets it."""
        answers, asked = self.answers, request.environ[QUESTION]
        if answers.snapshot is not validity.snapshot:  # those from another go
            answers = self.answers = SnapshotResponses(validity.snapshot)
        if not answers.asked_before(asked) or "Set-Cookie" in response.headers:
            return
        if not answers.keep(asked, CachedResponse.of(response, validity, request)):
            self.answers = SnapshotResponses(validity.snapshot)

    def _holds(self, answer: CachedResponse) -> bool:
        now = self._clock()
        return answer.valid_from <= now < answer.valid_until and self._authentication.again(answer.key, now)
