"""A thin layer before Flask that gives a page from memory again, as Flask gave it, as long as nothing has changed.

Dashboards and gateways ask for the same page over and over. What Flask answered to the same question from the same key
is given again until the snapshot it was read from is replaced, one of its windows begins or ends, or the key no longer
counts. A view says so with `Response.held`; a hook of Flask keeps such an answer, and this layer parses and decides
nothing: whatever it does not know, or no longer trusts, goes to Flask. An answer is kept only when its question comes
a second time: most never come again, and to keep their answers too took a tenth of the time of a page.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple, Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, g
from prometheus_client import Counter

from governance.domain.keys import ApiKey
from governance.domain.times import Clock
from governance.services.keys.authentication import Authentication
from governance.services.metering.statistics import requests_counted
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.reader import Held
from governance.snapshot.snapshot import Snapshot
from governance.web.http.context import the_request
from governance.web.http.flask_app import Response
from governance.web.http.hosts import any_host
from governance.web.http.requests import REQUEST_ID, request_id

Header = tuple[str, str]
REPEATED = ("GET", "HEAD")
MOST_BYTES = 16 * 1024 * 1024
OVERHEAD = 2_000
"""What keeping one answer takes beside its body."""
MOST_ASKED = 128
"""How many questions are remembered as asked once; then all of these are forgotten."""
AGE = "Age"


def question(environ: WSGIEnvironment) -> bytes:
    """The digest of all that an answer from memory depends on; so no API key lies in memory as it was sent.

    Only a path can have a line break in it, and it is the last: no two requests have the same text.
    """
    get = environ.get
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    query, key, known = get("QUERY_STRING", ""), get("HTTP_AUTHORIZATION", ""), get("HTTP_IF_NONE_MATCH", "")
    return blake2b(f"{method}\n{query}\n{key}\n{known}\n{path}".encode(errors="surrogatepass")).digest()


class Answer(NamedTuple):
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
    def of(cls, response: Response, held: Held) -> Self:
        """The answer to the current request, as WSGI gets it."""
        request = the_request()
        body, status, headers = response.get_wsgi_response(request.environ)
        lasting = [header for header in headers if header[0] != REQUEST_ID]
        age = [name for name, _ in lasting].index(AGE)
        counter = requests_counted(request.endpoint or "none", response.status_code)
        spans = held.valid_from, held.valid_until
        return cls(status, lasting[:age], lasting[age + 1 :], b"".join(body), g.api_key, counter, *spans)

    def headers(self, age: int, request_id: str) -> list[Header]:
        """The headers as Flask gave them, but for what is new each time."""
        return [*self.before_age, (AGE, str(age)), *self.behind_age, (REQUEST_ID, request_id)]


class Answers:
    """The answers from one snapshot; they go together, with it or when no room is left, so that none lives on in them.

    A hit writes nothing, so readers need no lock.
    """

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self.known: dict[bytes, Answer] = {}
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

    def keep(self, asked: bytes, answer: Answer) -> bool:
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

    def __init__(
        self, flask: WSGIApplication, cache: SnapshotCache, authentication: Authentication, clock: Clock
    ) -> None:
        self._flask = flask
        self._cache = cache
        self._authentication = authentication
        self._clock = clock
        self.answers = Answers(None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Give a known answer again, or have Flask find one."""
        if environ["REQUEST_METHOD"] not in REPEATED:
            return self._flask(environ, start_response)
        answers = self.answers
        answer = answers.known.get(question(environ))
        slot = self._cache.peek() if answer else None
        if answer is None or slot is None or slot.snapshot is not answers.snapshot or not self._holds(answer):
            return self._flask(environ, start_response)
        answer.counter.inc()
        start_response(answer.status, answer.headers(int(self._cache.age(slot)), request_id(environ)))
        return (answer.body,)

    def keep(self, response: Response) -> Response:
        """Keep the answer to a question that has come before: Flask's last hook, so nothing is added behind it."""
        held = getattr(response, "held", None)
        if held is None:
            return response
        answers, asked = self._of(held.snapshot), question(the_request().environ)
        if not answers.asked_before(asked) or "Set-Cookie" in response.headers:
            return response
        if not answers.keep(asked, Answer.of(response, held)):
            self.answers = Answers(held.snapshot)
        return response

    def _holds(self, answer: Answer) -> bool:
        now = self._clock()
        return answer.valid_from <= now < answer.valid_until and self._authentication.again(answer.key, now)

    def _of(self, snapshot: Snapshot) -> Answers:
        """The answers from a snapshot; those from another go."""
        answers = self.answers
        if answers.snapshot is not snapshot:
            answers = self.answers = Answers(snapshot)
        return answers


def put_before(app: Flask, cache: SnapshotCache, authentication: Authentication, clock: Clock) -> None:
    """Put the cache before the app. Call it before other hooks are registered: Flask calls the first one last."""
    responses = ResponseCache(any_host(app.wsgi_app), cache, authentication, clock)
    app.wsgi_app = responses  # type: ignore[method-assign]
    app.after_request(responses.keep)
