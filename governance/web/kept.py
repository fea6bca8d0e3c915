"""The answers that may be given again: all from one snapshot, bounded in bytes, and only to what is asked repeatedly.

Most questions never come again. To keep their answers too would have each new one written into memory that no cache
of the processor holds: a tenth of the time of a page.
"""

from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple, Self

from prometheus_client import Counter

from governance.domain.keys import ApiKey
from governance.memory.reader import Held
from governance.memory.snapshot import Snapshot
from governance.services.statistics import requests_counted

Header = tuple[str, str]
Words = tuple[str, ...]
"""All of a request that its answer depends on."""

MOST_BYTES = 16 * 1024 * 1024
OVERHEAD = 2_000
"""What keeping one answer takes beside its body."""
MOST_ASKED = 128
"""How many questions are remembered as asked once; then all of these are forgotten."""
AGE, REQUEST_ID = "Age", "X-Request-Id"
REPEATABLE = "governance.repeatable"
"""Where in a request's environment its view says that its answer may be given again."""


class Repeatable(NamedTuple):
    """What a view says of its answer: who was given it, at which endpoint, and for how long it holds."""

    key: ApiKey
    endpoint: str
    held: Held


class Answer(NamedTuple):
    """What Flask answered, in which span of time it would again, and what counts that.

    The headers are those before and behind `Age`, which is new each time, as is the request's id behind them all.
    """

    status: str
    before_age: tuple[Header, ...]
    behind_age: tuple[Header, ...]
    body: bytes
    key: ApiKey
    counter: Counter
    valid_from: int
    valid_until: int

    @classmethod
    def of(cls, status: str, headers: Iterable[Header], body: bytes, repeatable: Repeatable) -> Self:
        """What was answered, to be given again."""
        kept = tuple(header for header in headers if header[0] != REQUEST_ID)
        age = [name for name, _ in kept].index(AGE)
        counter = requests_counted(repeatable.endpoint, int(status[:3]))
        return cls(status, kept[:age], kept[age + 1 :], body, repeatable.key, counter, *repeatable.held[1:])

    def headers(self, age: int, request_id: str) -> list[Header]:
        """The headers as Flask gave them, but for what is new each time."""
        return [*self.before_age, (AGE, str(age)), *self.behind_age, (REQUEST_ID, request_id)]


class Kept:
    """The answers from one snapshot; they go together, with it or when no room is left, so that none lives on in them.

    A hit writes nothing, so readers need no lock.
    """

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self.answers: dict[Words, Answer] = {}
        self._asked: set[Words] = set()
        self._held = 0
        self._lock = Lock()

    def asked_before(self, words: Words) -> bool:
        """Whether the question has come before, lately; from now on it has."""
        with self._lock:
            if words in self._asked:
                return True
            if len(self._asked) >= MOST_ASKED:
                self._asked.clear()
            self._asked.add(words)
            return False

    def keep(self, words: Words, answer: Answer) -> bool:
        """Keep an answer, where there is room for it; whether there was."""
        size = len(answer.body) + OVERHEAD
        with self._lock:
            if self._held + size > MOST_BYTES:
                return False
            self.answers[words] = answer
            self._held += size
        return True
