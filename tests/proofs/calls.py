"""The calls of a load, the response to each, and the check that the file has each of them once."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Any

from tests.proofs.oracle import EPOCH
from tests.proofs.serving import Caller, Reply, Service

NANOS = 10**9
TIGHT = 400
"""The most calls of the user `ada`."""
UNHEARD = (OSError, HTTPException)
"""The errors after which a caller does not know whether its call was done."""


class NotDone(HTTPException):
    """The service says that it did not do the request (503)."""


def done(reply: Reply) -> Any:
    """Return the JSON of a 200. Raises NotDone for a 503."""
    if reply.status == 503:
        assert int(reply.headers["Retry-After"]) >= 1, reply
        raise NotDone(reply.code)
    assert reply.status == 200, reply
    return reply.json()


def headers(key: str | None) -> Mapping[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


@dataclass
class Report:
    """Usage without a reservation, and whether the report was answered."""

    key: str | None
    body: dict[str, Any]
    answered: bool = False

    def send(self, caller: Caller) -> None:
        """Send the report. With a key, it may be sent any number of times."""
        done(caller.post("usage", self.body, headers(self.key)))
        self.answered = True

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged effects."""
        return int(self.answered)


@dataclass
class Attempt:
    """A call and the responses to it.

    `reservation`, `extended` and `ended` are responses, or None before a response.
    """

    key: str | None
    body: dict[str, Any]
    extension: int | None
    ending: tuple[str, dict[str, Any] | None] | None
    reservation: dict[str, Any] | None = None
    denied: bool = False
    extend_sent: bool = False
    extended: dict[str, Any] | None = None
    end_sent: bool = False
    ended: dict[str, Any] | None = None

    def reserve(self, caller: Caller) -> None:
        """Reserve. With a key, this may be repeated any number of times."""
        reply = caller.post("reservations", self.body, headers(self.key))
        self.denied = reply.status == 429 and "user_id" in self.body
        self.reservation = None if self.denied else done(reply)["reservation"]

    def send(self, caller: Caller) -> None:
        """Do the whole call."""
        self.reserve(caller)
        self.extend(caller)
        self.end(caller)

    def extend(self, caller: Caller) -> None:
        """Extend the reservation, if it is still open."""
        if self.extension is not None and self.reservation is not None:
            self.extend_sent = True
            reply = caller.post(f"reservations/{self.reservation['id']}/extend", {"ttl_seconds": self.extension})
            if reply.status != 409 or reply.code != "reservation_expired":
                self.extended = done(reply)["reservation"]

    def end(self, caller: Caller) -> None:
        """Settle or release. This may be repeated any number of times."""
        if self.ending is not None and self.reservation is not None:
            act, amounts = self.ending
            self.end_sent = True
            self.ended = done(caller.post(f"reservations/{self.reservation['id']}/{act}", amounts))["reservation"]

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged effects."""
        return sum(each is not None for each in (self.reservation, self.extended, self.ended))


def store_limits(caller: Caller) -> None:
    """Create limits of every metric with room for all calls, and a limit with little room for `ada`."""
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


def drawn(chance: random.Random, number: int) -> Attempt | Report:
    """Return a random call with its planned end, or sometimes a report. One in five has no Idempotency-Key."""
    body = {"model": "gpt-4o", "cost": chance.randrange(1, 10**6) / 10**6, "tokens": chance.randrange(1000)}
    key = None if chance.random() < 0.2 else f"key-{number}"
    if chance.random() < 0.2:
        return Report(key, body)
    body["ttl_seconds"] = chance.choice([1, 600])
    if chance.random() < 0.5:
        body["user_id"] = "ada"
    actual = {"cost": chance.randrange(0, 2 * 10**6) / 10**6, "tokens": chance.randrange(2000)}
    ending = chance.choice([("settle", actual), ("settle", {}), ("release", None), None])
    return Attempt(key, body, chance.choice([None, None, 1, 3600]), ending)


def repeat_what_was_not_answered(caller: Caller, attempts: Iterable[Attempt], reports: Iterable[Report]) -> None:
    """Repeat what was not answered, as a client would: with the same key and the same end.

    A request without a key is not repeated.
    """
    for report in reports:
        if not report.answered and report.key is not None:
            report.send(caller)
    for attempt in attempts:
        if attempt.reservation is None and not attempt.denied and attempt.key is not None:
            attempt.reserve(caller)
        if attempt.end_sent and attempt.ended is None:
            attempt.end(caller)


def assert_answered_is_there(service: Service, attempts: Iterable[Attempt], reports: Iterable[Report]) -> None:
    """Check that the file has every reservation, every extension, every end and every report that was answered."""
    rows = {row["id"]: row for row in service.rows("SELECT * FROM reservations")}
    reported = Counter(used(row) for row in rows.values() if row["status"] == "reported")
    assert Counter(asked(report.body) for report in reports if report.answered) <= reported
    for attempt in attempts:
        if attempt.reservation is not None:
            row = rows[attempt.reservation["id"]]
            assert held(row) == asked(attempt.body), attempt
            assert expires_rightly(attempt, row["expires_at"]), attempt
            if attempt.ended is not None:
                assert shown(row) == answered(attempt.ended), attempt
            elif attempt.end_sent:
                assert shown(row) in possible_ends(attempt), attempt
            else:
                assert row["status"] in {"open", "expired"}, attempt


def expires_rightly(attempt: Attempt, expires_at: int) -> bool:
    """Return whether `expires_at` is the last one answered. It may be later if an extension was not answered."""
    answer = attempt.extended or attempt.reservation
    assert answer is not None
    told = (datetime.fromisoformat(answer["expires_at"]) - EPOCH).total_seconds() * 10**6
    unheard = attempt.extend_sent and attempt.extended is None
    return expires_at >= round(told) if unheard else expires_at == round(told)


def possible_ends(attempt: Attempt) -> list[tuple[str, int, int]]:
    """Return the states that the file may have after an end that was sent and not answered: all of it, or nothing."""
    assert attempt.ending is not None
    act, amounts = attempt.ending
    cost, tokens = nanos(attempt.body["cost"]), attempt.body["tokens"]
    actual = (nanos((amounts or {}).get("cost", attempt.body["cost"])), (amounts or {}).get("tokens", tokens))
    ended = ("settled", *actual) if act == "settle" else ("released", 0, 0)
    return [ended, ("open", 0, 0), ("expired", cost, tokens)]


def assert_each_counted_once(service: Service, attempts: Iterable[Attempt], reports: Iterable[Report]) -> None:
    """Check that there are as many effects as acknowledged requests, and that every counter is their sum.

    Any number of repeats is one request. A request without a key and without a response may have been done once, or not
    at all.
    """
    reported = Counter(used(row) for row in service.rows("SELECT * FROM reservations WHERE status = 'reported'"))
    heard = Counter(asked(report.body) for report in reports if report.answered)
    assert heard <= reported <= heard + Counter(asked(report.body) for report in reports if not report.answered)
    rows = {row["id"]: row for row in service.rows("SELECT * FROM reservations WHERE status <> 'reported'")}
    admitted = [attempt.reservation["id"] for attempt in attempts if attempt.reservation]
    assert len(set(admitted)) == len(admitted)
    assert set(admitted) <= rows.keys()
    unheard = Counter(asked(each.body) for each in attempts if each.reservation is None and not each.denied)
    assert Counter(held(rows[reservation_id]) for reservation_id in rows.keys() - set(admitted)) <= unheard
    assert_counters_are_sums(service, any_denied=any(attempt.denied for attempt in attempts))


def assert_counters_are_sums(service: Service, *, any_denied: bool) -> None:
    """Check that every counter is the sum of the rows in the file.

    If `ada` was denied, she had exactly her calls.
    """
    counters = service.rows(SUMS)
    for counter in counters:
        assert (counter["used"], counter["reserved"]) == (counter["all_used"], counter["all_held"]), counter
    for few in [counter for counter in counters if counter["max_limit"] == TIGHT]:
        assert few["used"] + few["reserved"] <= TIGHT
        assert not any_denied or few["requests_ever"] >= TIGHT


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
"""Every counter beside the sum of all reservations. All reservations are in the only window of each rule."""


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


HISTORY = {"requests": "requests", "cost": "used_cost", "input_tokens + output_tokens + other_tokens": "used_tokens"}
"""The sums of a bucket, by the columns of the bucket."""


def assert_history_has_each_once(service: Service) -> None:
    """Check that the buckets of usage equal the sums of all ended reservations and reports, in one read of the file."""
    ended = "FROM reservations WHERE status <> 'open'"
    sums = [
        f"(SELECT total({own}) FROM usage_buckets) - (SELECT total({of}) {ended}) AS difference_{number}"
        for number, (own, of) in enumerate(HISTORY.items())
    ]
    (found,) = service.rows(f"SELECT {', '.join(sums)}")
    assert set(found.values()) == {0}, found
