"""With any number of processes and threads, exactly as many calls are admitted as the tightest rule has room for."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from threading import Event
from typing import Any

import pytest

from tests.process.service import DEADLINE, ROOT, until
from tests.proofs.conftest import Started
from tests.proofs.serving import Caller, Service

pytestmark = pytest.mark.process

PROCESSES, THREADS, CALLS = 8, 8, 50
ALL = PROCESSES * THREADS * CALLS
Answers = list[tuple[int, dict[str, Any]]]


def test_a_dollar_admits_exactly_a_hundred_of_3200_simultaneous_cents(started: Started) -> None:
    service = started()
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
        answers = storm(service, {"model": "gpt-4o", "cost": 0.01})
        assert Counter(status for status, _ in answers) == {200: 100, 402: ALL - 100}
        budget = stored(caller, limit["id"])["budgets"][0]
        assert (budget["current_usage"], budget["reserved"]) == (0, 1)
        assert_open(caller, {answer["reservation"]["id"] for status, answer in answers if status == 200})
    service.assert_verified()


ROOMY = 10**6
COST, TOKENS = Decimal("0.013"), 7
ADMITTED = 137
TIGHT = {"budget": 1.79, "tokens": 963, "requests": 137}
"""Maxima that admit 137 calls of $0.013 and 7 tokens, but not 138."""


@pytest.mark.parametrize("tight", ["budget of global", "requests of virtual_key", "tokens of user"])
def test_eight_mixed_rules_admit_exactly_what_the_tightest_has_room_for(started: Started, tight: str) -> None:
    service = started()
    with service.caller() as caller:
        tightest, limits = eight_rules(caller, tight)
        call = {"model": "gpt-4o", "cost": float(COST), "tokens": TOKENS, "virtual_key_id": "key", "user_id": "ada"}
        answers = storm(service, call)
        denial = 402 if tight.startswith("budget") else 429
        assert Counter(status for status, _ in answers) == {200: ADMITTED, denial: ALL - ADMITTED}
        refused_by = {refuser(answer) for status, answer in answers if status != 200}
        assert refused_by == {tightest}
        assert all(len(answer["limits"]) == 8 for status, answer in answers if status == 200)
        for limit in limits:
            assert_holds(stored(caller, limit["id"]))
        assert_open(caller, {answer["reservation"]["id"] for status, answer in answers if status == 200})
    service.assert_verified()


def test_while_one_worker_raises_a_limit_no_call_fails_and_each_amount_is_admitted_exactly(started: Started) -> None:
    service = started(GOVERNANCE_POLL_INTERVAL="600")
    with service.caller() as caller:
        limit = caller.create(model_name="gpt-4o", budgets=[{"max_limit": 0.01, "reset_duration": "1d"}])
        with ThreadPoolExecutor(8) as pool, asking(service, pool) as answers:
            for cents in range(2, 80):
                budgets = [limit["budgets"][0] | {"max_limit": cents / 100}]
                caller.good("PUT", f"model-configs/{limit['id']}", {"budgets": json_ready(budgets)})
                until(lambda cents=cents: answers.count(200) >= cents)
                assert answers.count(200) == cents
        assert set(answers) == {200, 402}
        budget = stored(caller, limit["id"])["budgets"][0]
        assert (budget["current_usage"], budget["reserved"]) == (0, Decimal("0.79"))
    service.assert_verified()


@contextmanager
def asking(service: Service, pool: ThreadPoolExecutor) -> Iterator[list[int]]:
    """Reserve a cent in eight threads during the block. Yield the statuses of the responses."""
    statuses: list[int] = []
    enough = Event()

    def ask() -> None:
        with service.caller() as caller:
            while not enough.is_set():
                statuses.append(caller.post("reservations", {"model": "gpt-4o", "cost": 0.01}).status)

    running = [pool.submit(ask) for _ in range(8)]
    try:
        yield statuses
    finally:
        enough.set()
    for each in running:
        each.result()


def json_ready(budgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: budget[name] for name in ("id", "max_limit", "reset_duration")} for budget in budgets]


def eight_rules(caller: Caller, tight: str) -> tuple[tuple[str, str], list[dict[str, Any]]]:
    """Create two global budgets and a global rate limit, and rate limits for the key and the user.

    Return (rule id, metric) of the rule that is tight, and the limits.
    """

    def most(what: str) -> float:
        return TIGHT[what.split(maxsplit=1)[0]] if what == tight else ROOMY

    def windows(scope: str, duration: str) -> dict[str, Any]:
        return {
            "token_max_limit": most(f"tokens of {scope}"),
            "token_reset_duration": duration,
            "request_max_limit": most(f"requests of {scope}"),
            "request_reset_duration": duration,
        }

    caller.good("POST", "virtual-keys", {"id": "key", "name": "key"})
    daily = {"max_limit": most("budget of global"), "reset_duration": "1d"}
    monthly = {"max_limit": ROOMY, "reset_duration": "1M"}
    limits = [
        caller.create(model_name="gpt-4o", budgets=[daily, monthly], rate_limits=[windows("global", "1h")]),
        caller.create(model_name="*", scope="virtual_key", scope_id="key", rate_limits=[windows("virtual_key", "1d")]),
        caller.create(model_name="gpt-4o", scope="user", scope_id="ada", rate_limits=[windows("user", "1w")]),
    ]
    tightest = {
        "budget of global": (limits[0]["budgets"][0]["id"], "cost"),
        "requests of virtual_key": (limits[1]["rate_limits"][0]["id"], "requests"),
        "tokens of user": (limits[2]["rate_limits"][0]["id"], "tokens"),
    }
    return tightest[tight], limits


def refuser(answer: dict[str, Any]) -> tuple[str, str]:
    (violation,) = answer["extra_fields"]["violations"]
    return violation["rule_id"], violation["metric"]


def assert_holds(limit: dict[str, Any]) -> None:
    """Check that every rule of the limit has exactly the admitted amounts reserved, and no usage."""
    for budget in limit["budgets"]:
        assert (budget["current_usage"], budget["reserved"]) == (0, ADMITTED * COST)
    for rate in limit["rate_limits"]:
        assert (rate["token_current_usage"], rate["token_reserved"]) == (0, ADMITTED * TOKENS)
        assert (rate["request_current_usage"], rate["request_reserved"]) == (0, ADMITTED)


def assert_open(caller: Caller, admitted: set[str]) -> None:
    """Check that exactly the admitted reservations are open."""
    found: set[str] = set()
    for offset in range(0, 1000, 100):
        page = caller.good("GET", f"reservations?status=open&limit=100&offset={offset}")
        found |= {reservation["id"] for reservation in page["reservations"]}
    assert found == admitted


def stored(caller: Caller, limit_id: str) -> dict[str, Any]:
    return dict(caller.good("GET", f"model-configs/{limit_id}")["model_config"])


def storm(service: Service, body: dict[str, Any]) -> Answers:
    """Return the responses to the same call from all threads of all processes, which begin together."""
    command = [sys.executable, "-m", "tests.proofs.load", str(service.port), str(THREADS), str(CALLS), json.dumps(body)]
    callers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        for caller in callers:
            assert caller.stdout is not None
            assert caller.stdout.readline() == "ready\n"
        for caller in callers:
            assert caller.stdin is not None
            caller.stdin.write("begin\n")
            caller.stdin.flush()
        outputs = [caller.communicate(timeout=2 * DEADLINE)[0] for caller in callers]
    finally:
        for caller in callers:
            caller.kill()
            caller.communicate()
    answers = [
        (status, json.loads(body, parse_float=Decimal)) for output in outputs for status, body in json.loads(output)
    ]
    assert len(answers) == ALL
    return answers
