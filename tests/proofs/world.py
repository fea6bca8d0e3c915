"""A service under a load of all acts, and the proof that its file has each acknowledged effect once."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event

from tests.process.service import until
from tests.proofs.calls import (
    UNHEARD,
    Attempt,
    Report,
    assert_answered_is_there,
    assert_each_counted_once,
    assert_history_has_each_once,
    drawn,
    repeat_what_was_not_answered,
    store_limits,
)
from tests.proofs.edits import Edits
from tests.proofs.serving import Caller, Service

THREADS = 8


class World:
    """A service with its limits, and all requests to it."""

    def __init__(self, service: Service, chance: random.Random) -> None:
        self.service = service
        self.attempts: list[Attempt] = []
        self.reports: list[Report] = []
        self.edits = Edits(random.Random(chance.random()))
        self._chance = chance
        self._numbers = count()
        with service.caller() as caller:
            store_limits(caller)

    @contextmanager
    def load(self) -> Iterator[None]:
        """Send calls from all threads at once, and edits, during the block."""
        stopped = Event()
        own = [random.Random(self._chance.random()) for _ in range(THREADS)]
        with ThreadPoolExecutor(THREADS + 1) as pool:
            running = [pool.submit(self._call, each, stopped) for each in own]
            running.append(pool.submit(self.edits.go_on, self.service, stopped))
            try:
                yield
            finally:
                stopped.set()
            for each in running:
                each.result()

    def _call(self, chance: random.Random, stopped: Event) -> None:
        """Send the calls of one thread. Each call is recorded before it is sent."""
        with self.service.caller() as caller:
            while not stopped.is_set():
                made = drawn(chance, next(self._numbers))
                if isinstance(made, Report):
                    self.reports.append(made)
                else:
                    self.attempts.append(made)
                try:
                    made.send(caller)
                except UNHEARD:
                    stopped.wait(0.02)

    def ask(self, caller: Caller) -> bool:
        """Send one more call. Return whether it was answered."""
        made = Attempt(f"key-{next(self._numbers)}", {"model": "gpt-4o", "cost": 0, "tokens": 1}, None, None)
        self.attempts.append(made)
        with suppress(*UNHEARD):
            made.reserve(caller)
            return True
        return False

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged effects."""
        calls = sum(each.acknowledged for each in (*self.attempts, *self.reports))
        return calls + self.edits.acknowledged

    def prove(self) -> None:
        """Check that acknowledged effects are stored. Repeat all other requests.

        Check that each effect is stored once.
        """
        assert_answered_is_there(self.service, self.attempts, self.reports)
        self.edits.assert_stand(self.service)
        with self.service.caller() as caller:
            repeat_what_was_not_answered(caller, self.attempts, self.reports)
        assert_each_counted_once(self.service, self.attempts, self.reports)
        assert_history_has_each_once(self.service)

    def prove_that_nothing_is_stuck(self) -> None:
        """Check that open reservations expire or can be settled. After that, no amount may be reserved."""
        until(lambda: self._open("created_at + 1000000 = expires_at") == [])
        with self.service.caller() as caller:
            for reservation_id in self._open():
                ended = caller.good("POST", f"reservations/{reservation_id}/settle")["reservation"]
                assert ended["status"] == "settled"
        assert self._open() == []
        assert_each_counted_once(self.service, self.attempts, self.reports)
        assert {row["reserved"] for row in self.service.rows("SELECT reserved FROM counters")} == {0}
        assert {row["held"] for row in self.service.rows("SELECT held FROM ledger")} == {0}
        self.service.assert_verified()

    def _open(self, condition: str = "TRUE") -> list[str]:
        rows = self.service.rows(f"SELECT id FROM reservations WHERE status = 'open' AND {condition}")
        return [row["id"] for row in rows]
