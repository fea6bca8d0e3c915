"""Two workers on one file against the oracle: whatever is done in whatever order, every answer and counter is equal.

The workers are two apps in this process, each with its own memory and writer thread, under one clock that only the
machine moves. A worker that did not act last has not polled since, so its memory is behind.
"""

import json
import shutil
from contextlib import suppress
from fractions import Fraction
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import text

from app import create_app
from governance.services.mint import Mint
from governance.settings import Settings
from governance.storage import migrations
from governance.web.context import Governance
from tests.conftest import ADMIN_KEY, NOON, Api, FakeClock, governance_of
from tests.proofs import oracle
from tests.proofs.oracle import DAY, SECOND, Ask, Limit, Oracle, Refused, Rule, nanos, rfc3339

EXAMPLES, STEPS = 30, 40
MINUTE = 60 * SECOND

MODELS = st.sampled_from(["gpt-4o", "gpt-4o", "*", "openai/gpt-4o", "claude", " OpenAI/Claude"])
PROVIDERS = st.sampled_from([None, None, "openai", "OpenAI"])
CALLED_MODELS = st.sampled_from(["gpt-4o", "gpt-4o", "GPT-4o ", "openai/gpt-4o", "claude", "OpenAI/claude", "other"])
CALLED_PROVIDERS = st.sampled_from([None, None, "openai", " OPENAI", "anthropic"])
KEYS = ("key-1", "key-2")
USERS = st.sampled_from([None, None, "ada", "bob"])
COSTS = st.sampled_from([None, "0", "0.01", "0.1", "0.25", "0.3333333333", "1e-12", "1", "2.5"])
TOKENS = st.sampled_from([None, 0, 1, 7, 40, 100])
TTLS = st.sampled_from([1, 60, 600, 86400])
BUDGETS = st.sampled_from(["0.000000001", "0.5", "1", "2.75", "40"])
TOKEN_MAXIMA = st.sampled_from([5, 50, 120, 10**6])
REQUEST_MAXIMA = st.sampled_from([1, 2, 4, 10**6])
DURATIONS = st.sampled_from(sorted(oracle.LENGTHS))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
IDEMPOTENCY_KEYS = st.sampled_from([None, None, None, "once", "twice"])
WORKERS = st.integers(0, 1)
FORWARD = st.sampled_from([1, SECOND // 2, SECOND, 59 * SECOND, MINUTE, 10 * MINUTE, DAY // 24, DAY, 2 * DAY, 8 * DAY])
LONG = st.sampled_from([31 * DAY, 95 * DAY])
BACK = st.sampled_from([1, SECOND, MINUTE, DAY // 24, DAY, 2 * DAY, 3 * DAY])
FARTHEST_BACK = 10 * DAY


class Item(NamedTuple):
    """A wanted budget (cost alone) or rate limit: (maximum, duration) by metric."""

    sides: dict[str, tuple[int, str]]

    @property
    def is_budget(self) -> bool:
        return "cost" in self.sides

    def body(self, item_id: str | None = None) -> dict[str, Any]:
        named = {} if item_id is None else {"id": item_id}
        if self.is_budget:
            most, duration = self.sides["cost"]
            return named | {"max_limit": most / oracle.NANOS, "reset_duration": duration}
        for metric, (most, duration) in self.sides.items():
            prefix = metric.removesuffix("s")
            named |= {f"{prefix}_max_limit": most, f"{prefix}_reset_duration": duration}
        return named


BUDGET_ITEMS = st.tuples(BUDGETS, DURATIONS).map(lambda pair: Item({"cost": (nanos(pair[0]), pair[1])}))
TOKEN_SIDES = st.tuples(TOKEN_MAXIMA, DURATIONS)
REQUEST_SIDES = st.tuples(REQUEST_MAXIMA, DURATIONS)
RATE_ITEMS = st.one_of(
    TOKEN_SIDES.map(lambda side: Item({"tokens": side})),
    REQUEST_SIDES.map(lambda side: Item({"requests": side})),
    st.tuples(TOKEN_SIDES, REQUEST_SIDES).map(lambda sides: Item({"tokens": sides[0], "requests": sides[1]})),
)
ITEMS = st.one_of(BUDGET_ITEMS, RATE_ITEMS)


def distinct(items: list[Item]) -> list[Item]:
    """The items without those that have a window which an earlier one has."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for item in items:
        windows = {(metric, duration) for metric, (_, duration) in item.sides.items()}
        if not windows & seen:
            kept.append(item)
            seen |= windows
    return kept


ASKS = st.tuples(CALLED_MODELS, CALLED_PROVIDERS, st.sampled_from([None, None, *KEYS]), st.booleans(), USERS).map(
    lambda drawn: Ask(*drawn)
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("template") / "governance.db"
    migrations.upgrade(made, 1)
    return made


def test_two_workers_answer_and_count_as_the_oracle_does(template: Path) -> None:
    machine = type("Machine", (Metering,), {"template": template})
    machine.TestCase.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=False,
        print_blob=True,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()


class Metering(RuleBasedStateMachine):
    """Every act is done by the service and by the oracle."""

    template: Path
    limits = Bundle("limits")
    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        shutil.copy(self.template, self.folder.name)
        self.clock = FakeClock(NOON)
        self.latest = self.clock.now
        self.last = 0
        ids = (f"{number:08}" for number in count(1))
        self.mint = Mint(lambda: next(ids), lambda _: next(ids), lambda: next(ids))
        self.apps: list[Flask] = []
        self.pruned = [0, 0]

    @initialize(charge=st.booleans(), items=st.lists(ITEMS, min_size=1, max_size=3), target=limits)
    def begin(self, *, charge: bool, items: list[Item]) -> Any:
        policy = "charge" if charge else "release"
        self.settings = Settings(
            instance=self.folder.name, admin_key=ADMIN_KEY, expired_reservations=policy, synchronous="normal"
        )
        self.apps = [create_app(self.settings, clock=self.clock, mint=self.mint) for _ in range(2)]
        self.oracle = Oracle(charge_expired=charge)
        for worker, key in enumerate(KEYS):
            self.make_key(worker, key, None)
        return self.stored(0, "gpt-4o", None, ("global", None), False, "UTC", items)

    def teardown(self) -> None:
        for app in self.apps:
            close(app)
        self.folder.cleanup()

    # What the service is asked.

    def service(self, worker: int) -> Governance:
        self.last = worker
        return governance_of(self.apps[worker])

    def api(self, worker: int) -> Api:
        self.last = worker
        return Api(self.apps[worker].test_client())

    def send(self, worker: int, path: str, body: str = "{}", key: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return self.api(worker).request("POST", path, data=body, headers=headers)

    def assert_refused(self, reply: Any, refused: Refused) -> None:
        assert (reply.status_code, read(reply)["error"]["code"]) == (refused.status, refused.code), reply.text
        if refused.extra is not None:
            assert read(reply)["extra_fields"] == refused.extra
            assert reply.headers.get("Retry-After") == (refused.retry_after and str(refused.retry_after))

    # Reserve, report, check.

    @rule(
        target=reservations,
        worker=WORKERS,
        ask=ASKS,
        cost=COSTS,
        tokens=TOKENS,
        ttl=TTLS,
        key=IDEMPOTENCY_KEYS,
    )
    def reserve(self, worker: int, ask: Ask, cost: str | None, tokens: int | None, ttl: int, key: str | None) -> Any:
        ask = amounts(ask, cost, tokens)._replace(ttl=ttl)
        reply = self.send(worker, "reservations", body_of(ask, cost, tokens, {"ttl_seconds": ttl}), key)
        try:
            known = self.oracle.repeated("reservations", key, ask, self.clock.now)
            if known is None:
                self.oracle.admit(ask, self.clock.now)
        except Refused as refused:
            self.assert_refused(reply, refused)
            return multiple()
        assert reply.status_code == 200, reply.text
        assert (reply.headers.get("Idempotent-Replayed") == "true") == (known is not None)
        if known is not None:
            assert reply.data == known
            return multiple()
        answer = read(reply)
        made = self.oracle.hold(ask, answer["reservation"]["id"], self.clock.now)
        assert answer == {
            "decision": "allow",
            "reservation": made.shown(),
            "limits": self.oracle.standings(ask, self.clock.now),
        }
        self.oracle.keep("reservations", key, ask, reply.data, self.clock.now)
        return made.id

    @rule(
        worker=WORKERS,
        ask=ASKS,
        cost=COSTS,
        tokens=TOKENS,
        requests=st.sampled_from([None, 0, 1, 3]),
        key=IDEMPOTENCY_KEYS,
    )
    def report(
        self, worker: int, ask: Ask, cost: str | None, tokens: int | None, requests: int | None, key: str | None
    ) -> None:
        ask = amounts(ask, cost, tokens)._replace(requests=1 if requests is None else requests, by_value=False)
        reply = self.send(worker, "usage", body_of(ask, cost, tokens, {"requests": requests}), key)
        try:
            known = self.oracle.repeated("usage", key, ask, self.clock.now)
        except Refused as refused:
            self.assert_refused(reply, refused)
            return
        assert reply.status_code == 200, reply.text
        assert (reply.headers.get("Idempotent-Replayed") == "true") == (known is not None)
        if known is not None:
            assert reply.data == known
            return
        self.oracle.report(ask, self.clock.now)
        standings = self.oracle.standings(ask, self.clock.now)
        assert read(reply)["limits"] == [each | {"over": each["remaining"] == 0} for each in standings]
        self.oracle.keep("usage", key, ask, reply.data, self.clock.now)

    @rule(worker=WORKERS, ask=ASKS, cost=COSTS, tokens=TOKENS)
    def check(self, worker: int, ask: Ask, cost: str | None, tokens: int | None) -> None:
        ask, now = amounts(ask, cost, tokens), self.clock.now
        answer = read(self.send(worker, "check", body_of(ask, cost, tokens, {})))
        violated = [self.oracle.standing(limit, each, ask, now) for limit, each in self.oracle.violations(ask, now)]
        allowed = False
        with suppress(Refused):
            self.oracle.admit(ask, now)
            allowed = True
        assert answer["decision"] == ("allow" if allowed else "deny")
        assert answer["violations"] == violated
        assert answer["limits"] == self.oracle.standings(ask, now)
        unmatched = {each["model_config_id"] for each in answer["unmatched"]["limits"]}
        assert unmatched <= {limit.id for limit in self.oracle.limits.values() if not oracle.applies(limit, ask)}

    # A reservation's life.

    @rule(worker=WORKERS, reservation=reservations, cost=COSTS, tokens=TOKENS)
    def settle(self, worker: int, reservation: str, cost: str | None, tokens: int | None) -> None:
        reply = self.send(worker, f"reservations/{reservation}/settle", numbers({"tokens": tokens}, cost))
        cents = None if cost is None else nanos(cost)
        self.assert_ended(reply, lambda: self.oracle.settle(reservation, cents, tokens, self.clock.now))

    @rule(worker=WORKERS, reservation=reservations)
    def release(self, worker: int, reservation: str) -> None:
        reply = self.send(worker, f"reservations/{reservation}/release")
        self.assert_ended(reply, lambda: self.oracle.release(reservation, self.clock.now))

    @rule(worker=WORKERS, reservation=reservations, ttl=TTLS)
    def extend(self, worker: int, reservation: str, ttl: int) -> None:
        reply = self.send(worker, f"reservations/{reservation}/extend", numbers({"ttl_seconds": ttl}, None))
        self.assert_ended(reply, lambda: self.oracle.extend(reservation, ttl, self.clock.now))

    @rule(worker=WORKERS, reservation=reservations)
    def look(self, worker: int, reservation: str) -> None:
        reply = self.api(worker).get(f"reservations/{reservation}")
        self.assert_ended(reply, lambda: self.oracle.found(reservation))

    def assert_ended(self, reply: Any, act: Any) -> None:
        try:
            held = act()
        except Refused as refused:
            self.assert_refused(reply, refused)
        else:
            assert reply.status_code == 200, reply.text
            assert read(reply) == {"reservation": held.shown()}

    # Time.

    @rule(microseconds=FORWARD)
    def wait(self, microseconds: int) -> None:
        self.set_clock(self.clock.now + microseconds)

    @rule(microseconds=LONG)
    def wait_long(self, microseconds: int) -> None:
        self.set_clock(self.clock.now + microseconds)

    @rule(data=st.data(), before=st.booleans())
    def wait_for_an_edge(self, data: st.DataObject, *, before: bool) -> None:
        """Up to the first instant of some rule's next window, or the last one of this."""
        pairs = [(each, limit) for limit in self.oracle.limits.values() for each in limit.rules]
        if pairs:
            each, limit = pairs[data.draw(st.integers(0, len(pairs) - 1))]
            end = oracle.current(each, limit, self.clock.now).end
            self.set_clock(max(self.clock.now, end - before))

    @rule(microseconds=BACK)
    def step_back(self, microseconds: int) -> None:
        """Both workers poll once the clock is back: see `test_boundaries` for one that does not."""
        self.set_clock(max(self.clock.now - microseconds, self.latest - FARTHEST_BACK))
        for app in self.apps:
            governance_of(app).cache.refresh()

    def set_clock(self, now: int) -> None:
        self.clock.now = now
        self.latest = max(self.latest, now)

    # What happens by itself.

    @rule(worker=WORKERS)
    def sweep(self, worker: int) -> None:
        self.service(worker).reservations.sweep()
        self.oracle.sweep(self.clock.now)

    @rule(worker=WORKERS)
    def poll(self, worker: int) -> None:
        """All tasks of a poll, pruning among them: at most once a minute in each worker."""
        for task in self.service(worker).poller._tasks:
            task()
        self.oracle.sweep(self.clock.now)
        if not self.pruned[worker] <= self.clock.now < self.pruned[worker] + MINUTE:
            self.pruned[worker] = self.clock.now
            self.oracle.prune(self.clock.now)

    @rule(worker=WORKERS)
    def restart(self, worker: int) -> None:
        close(self.apps[worker])
        self.apps[worker] = create_app(self.settings, clock=self.clock, mint=self.mint)
        self.pruned[worker] = 0

    # Limits.

    @rule(
        target=limits,
        worker=WORKERS,
        model=MODELS,
        provider=PROVIDERS,
        scope=st.sampled_from(
            [("global", None), ("global", None), ("virtual_key", "key-1"), ("virtual_key", "key-2"), ("user", "ada")]
        ),
        aligned=st.booleans(),
        zone=ZONES,
        items=st.lists(ITEMS, min_size=1, max_size=3),
    )
    def create(
        self,
        worker: int,
        model: str,
        provider: str | None,
        scope: tuple[str, str | None],
        *,
        aligned: bool,
        zone: str,
        items: list[Item],
    ) -> Any:
        return self.stored(worker, model, provider, scope, aligned, zone, items)

    def stored(
        self,
        worker: int,
        model: str,
        provider: str | None,
        scope: tuple[str, str | None],
        aligned: bool,  # noqa: FBT001
        zone: str,
        items: list[Item],
    ) -> Any:
        """Create a limit; nothing where that is refused, as it must be."""
        wanted = distinct(items)
        limit = Limit("", model, provider, *scope, aligned, zone)
        reply = self.api(worker).post(
            "model-configs",
            {
                "model_name": model,
                "provider": provider,
                "scope": scope[0],
                "scope_id": scope[1],
                "calendar_aligned": aligned,
                "timezone": zone,
                "budgets": [item.body() for item in wanted if item.is_budget],
                "rate_limits": [item.body() for item in wanted if not item.is_budget],
            },
        )
        durations = {duration for item in wanted for _, duration in item.sides.values()}
        if aligned and not durations & oracle.ALIGNABLE:
            assert reply.status_code == 400, reply.text
            return multiple()
        if scope[0] == "virtual_key" and scope[1] not in self.oracle.keys:
            assert reply.status_code == 400, reply.text
            return multiple()
        if limit.identity in {each.identity for each in self.oracle.limits.values()}:
            assert (reply.status_code, read(reply)["error"]["code"]) == (409, "already_exists")
            return multiple()
        assert reply.status_code == 200, reply.text
        answer = read(reply)["model_config"]
        limit.id = answer["id"]
        self.learn(limit, answer, wanted)
        self.oracle.limits[limit.id] = limit
        return limit.id

    def learn(self, limit: Limit, answer: dict[str, Any], new: list[Item]) -> None:
        """Note the ids that new items were given, found by their windows."""
        shown = answer["budgets"] + answer["rate_limits"]
        known = {each.id for each in limit.rules}
        for item in new:
            (item_id,) = [each["id"] for each in shown if each["id"] not in known and windows_of(each) == item.sides]
            limit.rules += [
                Rule(item_id, metric, most, duration, self.clock.now) for metric, (most, duration) in item.sides.items()
            ]

    @rule(worker=WORKERS, limit=limits)
    def delete(self, worker: int, limit: str) -> None:
        reply = self.api(worker).delete(f"model-configs/{limit}")
        assert reply.status_code == (200 if limit in self.oracle.limits else 404), reply.text
        self.oracle.limits.pop(limit, None)

    @rule(worker=WORKERS, limit=limits, data=st.data(), reset=st.sampled_from([False, False, True]))
    def edit_maximum(self, worker: int, limit: str, data: st.DataObject, *, reset: bool) -> None:
        known = self.oracle.limits.get(limit)
        if known is None or not known.rules:
            return
        each = known.rules[data.draw(st.integers(0, len(known.rules) - 1))]
        maxima = {"cost": BUDGETS.map(nanos), "tokens": TOKEN_MAXIMA, "requests": REQUEST_MAXIMA}[each.metric]
        each.most = data.draw(maxima)
        self.put(worker, known, known.aligned, known.zone, reset=reset)

    @rule(
        worker=WORKERS,
        limit=limits,
        data=st.data(),
        duration=DURATIONS,
        aligned=st.sampled_from([None, False, True]),
        zone=st.one_of(st.none(), ZONES),
        reset=st.sampled_from([False, False, True]),
    )
    def edit_windows(
        self,
        worker: int,
        limit: str,
        data: st.DataObject,
        duration: str,
        *,
        aligned: bool | None,
        zone: str | None,
        reset: bool,
    ) -> None:
        """Another duration for one rule, another alignment, another zone, in one edit."""
        known = self.oracle.limits.get(limit)
        if known is None or not known.rules:
            return
        each = known.rules[data.draw(st.integers(0, len(known.rules) - 1))]
        durations = {(each.id, each.metric): duration}
        if any(other.metric == each.metric and other.duration == duration for other in known.rules):
            durations = {}
        aligned = known.aligned if aligned is None else aligned
        after = {durations.get((other.id, other.metric), other.duration) for other in known.rules}
        if aligned and not after & oracle.ALIGNABLE:
            return
        self.put(worker, known, aligned, zone or known.zone, durations=durations, reset=reset)

    @rule(worker=WORKERS, limit=limits, item=ITEMS, reset=st.sampled_from([False, False, True]))
    def add_item(self, worker: int, limit: str, item: Item, *, reset: bool) -> None:
        known = self.oracle.limits.get(limit)
        if known is None:
            return
        windows = {(each.metric, each.duration) for each in known.rules}
        if windows & {(metric, duration) for metric, (_, duration) in item.sides.items()}:
            return
        if known.aligned and not {each.duration for each in known.rules} & oracle.ALIGNABLE:
            return
        self.put(worker, known, known.aligned, known.zone, new=[item], reset=reset)

    @rule(worker=WORKERS, limit=limits, data=st.data(), whole=st.booleans())
    def remove_rule(self, worker: int, limit: str, data: st.DataObject, *, whole: bool) -> None:
        """A whole item, or one side of it, is gone with its counters; what is open settles against what is left."""
        known = self.oracle.limits.get(limit)
        if known is None or not known.rules:
            return
        each = known.rules[data.draw(st.integers(0, len(known.rules) - 1))]
        left = [other for other in known.rules if (other.id != each.id if whole else other is not each)]
        if known.aligned and left and not {other.duration for other in left} & oracle.ALIGNABLE:
            return
        known.rules = left
        self.put(worker, known, known.aligned, known.zone)

    @rule(worker=WORKERS, limit=limits, data=st.data(), token=TOKEN_SIDES, request=REQUEST_SIDES)
    def add_side(
        self, worker: int, limit: str, data: st.DataObject, token: tuple[int, str], request: tuple[int, str]
    ) -> None:
        """The other metric for a rate limit that has one."""
        known = self.oracle.limits.get(limit)
        single = (
            [each for each in known.rules if each.metric != "cost" and len(known.item(each.id)) == 1] if known else []
        )
        if known is None or not single:
            return
        each = single[data.draw(st.integers(0, len(single) - 1))]
        metric, (most, duration) = ("requests", request) if each.metric == "tokens" else ("tokens", token)
        if any(other.metric == metric and other.duration == duration for other in known.rules):
            return
        known.rules.append(Rule(each.id, metric, most, duration, self.clock.now))
        self.put(worker, known, known.aligned, known.zone)

    @rule(worker=WORKERS, limit=limits)
    def reset_usage(self, worker: int, limit: str) -> None:
        known = self.oracle.limits.get(limit)
        if known is None:
            assert self.api(worker).put(f"model-configs/{limit}", {"reset_usage": True}).status_code == 404
            return
        assert self.api(worker).put(f"model-configs/{limit}", {"reset_usage": True}).status_code == 200
        self.oracle.reset_usage(known, self.clock.now)

    def put(
        self,
        worker: int,
        limit: Limit,
        aligned: bool,  # noqa: FBT001
        zone: str,
        *,
        durations: dict[tuple[str, str], str] | None = None,
        new: list[Item] | None = None,
        reset: bool = False,
    ) -> None:
        """Bring the service's limit to the oracle's, with other windows and new items."""
        durations, new = durations or {}, new or []
        items: dict[str, Item] = {}
        for each in limit.rules:
            duration = durations.get((each.id, each.metric), each.duration)
            items.setdefault(each.id, Item({})).sides[each.metric] = (each.most, duration)
        bodies = [(item, item.body(item_id)) for item_id, item in items.items()]
        bodies += [(item, item.body()) for item in new]
        body = {
            "calendar_aligned": aligned,
            "timezone": zone,
            "budgets": [each for item, each in bodies if item.is_budget],
            "rate_limits": [each for item, each in bodies if not item.is_budget],
            "reset_usage": reset,
        }
        reply = self.api(worker).put(f"model-configs/{limit.id}", body)
        assert reply.status_code == 200, reply.text
        self.oracle.edit(limit, self.clock.now, aligned=aligned, zone=zone, durations=durations)
        self.learn(limit, read(reply)["model_config"], new)
        if reset:
            self.oracle.reset_usage(limit, self.clock.now)

    # Virtual keys.

    @rule(worker=WORKERS, key=st.sampled_from(KEYS), lifetime=st.sampled_from([None, DAY // 24, 2 * DAY]))
    def make_key(self, worker: int, key: str, lifetime: int | None) -> None:
        expires_at = None if lifetime is None else self.clock.now + lifetime
        body = {"id": key, "name": f"name of {key}", "value": f"sk-{key}"}
        if expires_at is not None:
            body["expires_at"] = rfc3339(expires_at)
        reply = self.api(worker).post("virtual-keys", body)
        assert reply.status_code == (409 if key in self.oracle.keys else 200), reply.text
        self.oracle.keys.setdefault(key, oracle.Key(key, expires_at=expires_at))

    @rule(worker=WORKERS, key=st.sampled_from(KEYS), active=st.booleans())
    def switch_key(self, worker: int, key: str, *, active: bool) -> None:
        reply = self.api(worker).put(f"virtual-keys/{key}", {"is_active": active})
        assert reply.status_code == (200 if key in self.oracle.keys else 404), reply.text
        if key in self.oracle.keys:
            self.oracle.keys[key].active = active

    @rule(worker=WORKERS, key=st.sampled_from(KEYS))
    def delete_key(self, worker: int, key: str) -> None:
        reply = self.api(worker).delete(f"virtual-keys/{key}")
        assert reply.status_code == (200 if key in self.oracle.keys else 404), reply.text
        self.oracle.keys.pop(key, None)
        self.oracle.limits = {
            limit.id: limit
            for limit in self.oracle.limits.values()
            if (limit.scope, limit.scope_id) != ("virtual_key", key)
        }

    # What holds after every step.

    @invariant()
    def every_counter_equals_the_oracles(self) -> None:
        with governance_of(self.apps[self.last]).database.read() as connection:
            rows = connection.execute(text(COUNTERS)).all()
        stored = {tuple(row) for row in rows}
        assert len(stored) == len(rows)
        wanted = {
            (each.id, each.metric, window.start, window.end, window.used, window.reserved)
            for each, window in self.oracle.windows()
        }
        assert stored <= wanted
        dropped = wanted - stored
        assert all(end < self.latest - oracle.COUNTERS_KEPT for _, _, _, end, _, _ in dropped)

    @invariant()
    def every_counter_equals_its_ledger(self) -> None:
        assert governance_of(self.apps[self.last]).verification.verify()[1] == []

    @invariant()
    def memory_equals_the_database_after_a_refresh(self) -> None:
        api = self.api(self.last)
        self.service(self.last).cache.refresh()
        for path in (
            "model-configs?limit=100",
            "model-configs?sort_by=usage",
            "budgets?limit=100",
            "rate-limits?limit=100",
        ):
            both = [api.get(f"{path}&from_memory={source}") for source in ("true", "false")]
            assert [reply.status_code for reply in both] == [200, 200]
            assert both[0].data == both[1].data
        self.assert_shown(read(self.api(self.last).get("model-configs?limit=100"))["model_configs"])

    def assert_shown(self, documents: list[dict[str, Any]]) -> None:
        """The list shows every rule in its current window."""
        shown = {}
        for document in documents:
            for budget in document["budgets"]:
                shown[budget["id"], "cost"] = tuple(budget[name] for name in BUDGET_FIELDS)
            for rate in document["rate_limits"]:
                for metric, prefix in (("tokens", "token"), ("requests", "request")):
                    if rate[f"{prefix}_max_limit"] is not None:
                        shown[rate["id"], metric] = tuple(rate[f"{prefix}_{name}"] for name in RATE_FIELDS)
        wanted = {}
        for limit in self.oracle.limits.values():
            for each in limit.rules:
                window = oracle.current(each, limit, self.clock.now)
                show = oracle.dollars if each.metric == "cost" else int
                amounts = show(each.most), show(window.used), show(window.reserved)
                wanted[each.id, each.metric] = (*amounts, rfc3339(window.start), rfc3339(window.end))
        assert shown == wanted
        assert {document["id"] for document in documents} == set(self.oracle.limits)


COUNTERS = "SELECT rule_id, metric, window_start, window_end, used, reserved FROM counters"
BUDGET_FIELDS = ("max_limit", "current_usage", "reserved", "last_reset", "resets_at")
RATE_FIELDS = ("max_limit", "current_usage", "reserved", "last_reset", "resets_at")


def windows_of(item: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """A budget or rate limit of an answer as the sides of an item."""
    if "max_limit" in item:
        return {"cost": (int(item["max_limit"] * oracle.NANOS), item["reset_duration"])}
    sides = {"tokens": "token", "requests": "request"}
    return {
        metric: (item[f"{prefix}_max_limit"], item[f"{prefix}_reset_duration"])
        for metric, prefix in sides.items()
        if item[f"{prefix}_max_limit"] is not None
    }


def amounts(ask: Ask, cost: str | None, tokens: int | None) -> Ask:
    return ask._replace(cost=nanos(cost or "0"), tokens=tokens or 0, by_value=ask.by_value and ask.key_id is not None)


def body_of(ask: Ask, cost: str | None, tokens: int | None, more: dict[str, Any]) -> str:
    key = {"virtual_key": f"sk-{ask.key_id}"} if ask.by_value else {"virtual_key_id": ask.key_id}
    call = {"model": ask.model, "provider": ask.provider, "user_id": ask.user_id, "tokens": tokens, **key, **more}
    return numbers(call, cost)


def numbers(body: dict[str, Any], cost: str | None) -> str:
    """The body as JSON without what is None; the cost as it is written."""
    given = {name: value for name, value in body.items() if value is not None}
    head = json.dumps(given)[:-1]
    return f'{head}{", " if given else ""}"cost": {cost}}}' if cost is not None else f"{head}}}"


def read(reply: Any) -> Any:
    return json.loads(reply.data, parse_float=Fraction)


def close(app: Flask) -> None:
    governance_of(app).group.stop()
    governance_of(app).database.engine.dispose()
