"""What was answered survives `kill -9`: 20 rounds of load, death at a random instant, and a start on the same files."""

import random
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count
from threading import Event
from typing import Any

import pytest

from tests.process.service import until
from tests.proofs.conftest import Started
from tests.proofs.serving import Caller, Reply, Service

pytestmark = pytest.mark.process

ROUNDS = 20
THREADS = 8
NANOS = 10**9
TIGHT = 400
"""The most calls of the user `ada`, over all rounds."""
BREATH = 0.4
"""The longest a round's load lasts, in seconds."""


@dataclass
class Report:
    """Usage that had no reservation, and whether it was answered."""

    key: str
    body: dict[str, Any]
    answered: bool = False

    def send(self, caller: Caller) -> None:
        """Report it, as often as one likes."""
        reply = caller.post("usage", self.body, {"Idempotency-Key": self.key})
        assert reply.status == 200, reply
        self.answered = True


@dataclass
class Attempt:
    """A call, and what was heard of it. `reservation` and `ended` are answers; None is none, so far."""

    key: str
    body: dict[str, Any]
    ending: tuple[str, dict[str, Any] | None] | None
    reservation: dict[str, Any] | None = None
    denied: bool = False
    end_sent: bool = False
    ended: dict[str, Any] | None = None

    def reserve(self, caller: Caller) -> None:
        """Ask for the hold, as often as one likes."""
        reply = caller.post("reservations", self.body, {"Idempotency-Key": self.key})
        assert reply.status == 200 or self._may_be_denied(reply), reply
        self.denied = reply.status != 200
        self.reservation = None if self.denied else reply.json()["reservation"]

    def _may_be_denied(self, reply: Reply) -> bool:
        return reply.status == 429 and "user_id" in self.body

    def send(self, caller: Caller) -> None:
        """The whole call."""
        self.reserve(caller)
        self.end(caller)

    def end(self, caller: Caller) -> None:
        """Settle or release, as often as one likes."""
        if self.ending is not None and self.reservation is not None:
            act, amounts = self.ending
            self.end_sent = True
            self.ended = caller.good("POST", f"reservations/{self.reservation['id']}/{act}", amounts)["reservation"]


def test_twenty_sudden_deaths_lose_nothing_that_was_answered(started: Started) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    service = started(THREADS=str(THREADS))
    with service.caller() as caller:
        store_limits(caller)
    attempts: list[Attempt] = []
    reports: list[Report] = []
    for _ in range(ROUNDS):
        for heard in load_until_death(service, chance, len(attempts) + len(reports)):
            if isinstance(heard, Report):
                reports.append(heard)
            else:
                attempts.append(heard)
        with service.verified():
            service.start()
        assert_answered_is_there(service, attempts, reports)
        with service.caller() as caller:
            repeat_what_was_not_answered(caller, attempts, reports)
        assert_each_counted_once(service, attempts, reports)
    with service.caller() as caller:
        assert_nothing_is_stuck(service, caller)
    assert_each_counted_once(service, attempts, reports)
    service.assert_verified()


def store_limits(caller: Caller) -> None:
    """Room for everybody, in rules of every metric, and little room for ada."""
    rate = {
        "token_max_limit": 10**12,
        "token_reset_duration": "1d",
        "request_max_limit": 10**9,
        "request_reset_duration": "1M",
    }
    budgets = [{"max_limit": 10**6, "reset_duration": "1d"}, {"max_limit": 10**7, "reset_duration": "1M"}]
    caller.create(model_name="gpt-4o", budgets=budgets, rate_limits=[rate])
    few = {"request_max_limit": TIGHT, "request_reset_duration": "1d"}
    caller.create(model_name="*", scope="user", scope_id="ada", rate_limits=[few])


def load_until_death(service: Service, chance: random.Random, number: int) -> list[Attempt | Report]:
    """Calls from all threads at once until gunicorn is killed in the middle of them."""
    keys = count(number)
    stopped = Event()
    with ThreadPoolExecutor(THREADS) as pool:
        own = [random.Random(chance.random()) for _ in range(THREADS)]
        threads = [pool.submit(call, service, lambda c=each: drawn(c, next(keys)), stopped) for each in own]
        stopped.wait(chance.uniform(0.02, BREATH))
        service.kill()
        stopped.set()
        return [attempt for thread in threads for attempt in thread.result()]


def drawn(chance: random.Random, number: int) -> Attempt | Report:
    """A random call, with what shall become of it; or now and then a report."""
    body = {"model": "gpt-4o", "cost": chance.randrange(1, 10**6) / 10**6, "tokens": chance.randrange(1000)}
    if chance.random() < 0.2:
        return Report(f"key-{number}", body)
    body["ttl_seconds"] = chance.choice([1, 600])
    if chance.random() < 0.5:
        body["user_id"] = "ada"
    actual = {"cost": chance.randrange(0, 2 * 10**6) / 10**6, "tokens": chance.randrange(2000)}
    ending = chance.choice([("settle", actual), ("settle", {}), ("release", None), None])
    return Attempt(f"key-{number}", body, ending)


def call(service: Service, draw: Callable[[], Attempt | Report], stopped: Event) -> list[Attempt | Report]:
    """Calls of one thread, each noted before it is sent, until no answer comes any more."""
    heard: list[Attempt | Report] = []
    with service.caller() as caller, suppress(OSError, HTTPException):
        while not stopped.is_set():
            heard.append(draw())
            heard[-1].send(caller)
    return heard


def assert_answered_is_there(service: Service, attempts: list[Attempt], reports: list[Report]) -> None:
    """Every reservation, every end and every report that was answered is in the file with its amounts."""
    rows = {row["id"]: row for row in service.rows("SELECT * FROM reservations")}
    reported = Counter(used(row) for row in rows.values() if row["status"] == "reported")
    assert Counter(asked(report.body) for report in reports if report.answered) <= reported
    for attempt in attempts:
        if attempt.reservation is not None:
            row = rows[attempt.reservation["id"]]
            assert held(row) == asked(attempt.body), attempt
            if attempt.ended is not None:
                assert shown(row) == answered(attempt.ended), attempt
            elif attempt.end_sent:
                assert shown(row) in possible_ends(attempt), attempt
            else:
                assert row["status"] in {"open", "expired"}, attempt


def possible_ends(attempt: Attempt) -> list[tuple[str, int, int]]:
    """What may stand in the file after an end that was sent and not answered: all of it, or nothing."""
    assert attempt.ending is not None
    act, amounts = attempt.ending
    cost, tokens = nanos(attempt.body["cost"]), attempt.body["tokens"]
    actual = (nanos((amounts or {}).get("cost", attempt.body["cost"])), (amounts or {}).get("tokens", tokens))
    done = ("settled", *actual) if act == "settle" else ("released", 0, 0)
    return [done, ("open", 0, 0), ("expired", cost, tokens)]


def repeat_what_was_not_answered(caller: Caller, attempts: list[Attempt], reports: list[Report]) -> None:
    """As a client would: the same key again, the same end again."""
    for report in reports:
        if not report.answered:
            report.send(caller)
    for attempt in attempts:
        if attempt.reservation is None and not attempt.denied:
            attempt.reserve(caller)
        if attempt.end_sent and attempt.ended is None:
            attempt.end(caller)


def assert_each_counted_once(service: Service, attempts: list[Attempt], reports: list[Report]) -> None:
    """As many effects as answers, however often they were asked for; and every counter is their sum."""
    reported = service.rows("SELECT * FROM reservations WHERE status = 'reported'")
    assert Counter(used(row) for row in reported) == Counter(asked(report.body) for report in reports)
    rows = service.rows("SELECT * FROM reservations WHERE status <> 'reported'")
    admitted = [attempt for attempt in attempts if attempt.reservation is not None]
    assert {row["id"] for row in rows} == {attempt.reservation["id"] for attempt in admitted if attempt.reservation}
    assert len(rows) == len(admitted)
    consistent = service.rows(SUMS)
    for counter in consistent:
        assert (counter["used"], counter["reserved"]) == (counter["all_used"], counter["all_held"]), counter
    (few,) = [counter for counter in consistent if counter["max_limit"] == TIGHT]
    assert few["used"] + few["reserved"] <= TIGHT
    if any(attempt.denied for attempt in attempts):
        assert few["requests_ever"] >= TIGHT


SUMS = f"""
    WITH amounts AS (
        SELECT user_id, status, 'cost' AS metric, used_cost AS used, held_cost AS held FROM reservations
        UNION ALL SELECT user_id, status, 'tokens', used_tokens, held_tokens FROM reservations
        UNION ALL SELECT user_id, status, 'requests', CASE status WHEN 'open' THEN 0 ELSE requests END, 1
            FROM reservations
    )
    SELECT rules.metric, rules.max_limit, counters.used, counters.reserved,
        SUM(amounts.used) AS all_used,
        SUM(CASE amounts.status WHEN 'open' THEN amounts.held ELSE 0 END) AS all_held,
        COUNT(*) AS requests_ever
    FROM counters
        JOIN rules ON rules.id = counters.rule_id AND rules.metric = counters.metric
        JOIN amounts ON amounts.metric = rules.metric AND (rules.max_limit <> {TIGHT} OR amounts.user_id = 'ada')
    GROUP BY counters.id"""
"""Every counter beside the sum of all reservations: all of them fall into the one window of each rule."""


def assert_nothing_is_stuck(service: Service, caller: Caller) -> None:
    """What is open lapses with the sweep, or can be settled; then nothing is held any more."""
    until(lambda: open_ids(service, "created_at + 1000000 = expires_at") == [])
    for reservation_id in open_ids(service):
        assert caller.good("POST", f"reservations/{reservation_id}/settle")["reservation"]["status"] == "settled"
    assert open_ids(service) == []
    assert {row["reserved"] for row in service.rows("SELECT reserved FROM counters")} == {0}
    assert {row["held"] for row in service.rows("SELECT held FROM ledger")} == {0}


def open_ids(service: Service, condition: str = "TRUE") -> list[str]:
    return [row["id"] for row in service.rows(f"SELECT id FROM reservations WHERE status = 'open' AND {condition}")]


def nanos(dollars: float) -> int:
    return round(dollars * NANOS)


def asked(body: dict[str, Any]) -> tuple[int, int]:
    return nanos(body["cost"]), body["tokens"]


def used(row: dict[str, Any]) -> tuple[int, int]:
    return row["used_cost"], row["used_tokens"]


def held(row: dict[str, Any]) -> tuple[int, int]:
    return row["held_cost"], row["held_tokens"]


def shown(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["status"], row["used_cost"], row["used_tokens"]


def answered(reservation: dict[str, Any]) -> tuple[str, int, int]:
    cost = reservation["cost"]["used"] * NANOS
    return reservation["status"], int(cost), reservation["tokens"]["used"]


def test_a_first_start_that_is_killed_at_any_instant_can_be_repeated(made: Started) -> None:
    service = made()
    for _ in range(5):
        service.launch()
        Event().wait(random.uniform(0.1, 1.5))
        service.kill()
    service.start()
    with service.caller() as caller:
        caller.create(model_name="gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
        assert caller.post("reservations", {"model": "gpt-4o", "cost": 0.4}).status == 200
        assert caller.post("reservations", {"model": "gpt-4o", "cost": 0.7}).status == 402
    service.assert_verified()
