"""States of a database as plain values, the changes between two states, and a loader that returns the changes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Semaphore
from time import monotonic
from typing import Any

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Counters, Limit
from governance.domain.records.changes import Changes, Mark
from governance.snapshot.orders import KEYS
from governance.snapshot.snapshot import Snapshot

DEADLINE = 20
FILE = (1, 1)


@dataclass(frozen=True)
class State:
    """All rows, by id or scope."""

    limits: dict[str, tuple[Limit, Counters]] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    virtual_keys: dict[str, VirtualKey] = field(default_factory=dict)

    @property
    def parts(self) -> list[dict[Any, Any]]:
        return [self.names, self.api_keys, self.virtual_keys]

    def whole(self, revision: int = 1) -> Changes:
        """Return the changes of a first load."""
        return Changes(mark(revision), True, dict(self.limits), [], *(dict(part) for part in self.parts))

    def since(self, before: "State", revision: int = 1, touched: tuple[str, ...] = ()) -> Changes:
        """Return the changes of a poll after `before`. They contain the `touched` limits even if nothing changed."""
        limits = {key: value for key, value in self.limits.items() if before.limits.get(key) != value}
        limits |= {key: self.limits[key] for key in touched if key in self.limits}
        gone = [key for key in before.limits if key not in self.limits]
        parts = (_told(new, old) for new, old in zip(self.parts, before.parts, strict=True))
        return Changes(mark(revision), False, limits, gone, *parts)


def _told(new: dict[Any, Any], old: dict[Any, Any]) -> dict[Any, Any]:
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    return changed | dict.fromkeys(old.keys() - new.keys())


def mark(revision: int) -> Mark:
    return Mark(FILE, revision, revision)


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """Return everything that a snapshot contains, in a form that can be compared."""
    orders = {name: snapshot.orders._whole[name] for name in KEYS}
    return {**snapshot._asdict(), "orders": orders}


class Records(logging.Handler):
    """Keeps the log records."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


class FakeTimer:
    """A timer in seconds. Only the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeLoader:
    """Each load has a new revision. The test can make a load wait half-way, or fail."""

    def __init__(self) -> None:
        self.calls: list[Mark | None] = []
        self.error: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.entered = Semaphore(0)
        self.may_end = Event()
        self.may_end.set()

    def __call__(self, since: Mark | None) -> Changes:
        self.calls.append(since)
        number = len(self.calls)
        self.entered.release()
        assert self.may_end.wait(DEADLINE)
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return State().whole(number)

    def hold(self) -> None:
        """Let the next loads wait."""
        self.may_end.clear()

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=DEADLINE)


def until(holds: Callable[[], bool]) -> None:
    """Wait until `holds` returns true, by the work of other threads."""
    deadline, pause = monotonic() + DEADLINE, Event()
    while not holds():
        assert monotonic() < deadline
        pause.wait(0.001)
