"""Two workers on one file, compared with the oracle: after any acts in any order, every response and counter is equal.

The workers are two apps in this process, each with its own snapshot and writer thread. The test machine moves the clock
of both. A worker that did not do the last act has not polled since, so its snapshot is old.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text, update

from app import create_app
from governance.container import Container
from governance.services.random_ids import RandomIds
from governance.settings import Settings
from governance.storage.limits.counters import touch
from governance.storage.metering import verification
from governance.storage.sqlite.files import migrations
from governance.storage.tables import counters
from tests.conftest import ADMIN_KEY, NOON, Api, FakeClock, governance_of
from tests.proofs import oracle
from tests.proofs.campaign import Campaign
from tests.proofs.oracle import DAY, SECOND, Ask, Limit, Oracle, Refused, Rule, Window, nanos, rfc3339

SHARE = 0.25
EXAMPLES, STEPS = 10, 40
"""The examples and steps of one run. Runs follow each other with new seeds."""
MINUTE = 60 * SECOND
BEFORE_EXPIRY = 5 * SECOND // 2
"""The time for which a clock must be right before reservations expire by it. It is half the interval of polls."""

MODELS = st.sampled_from(["gpt-4o", "gpt-4o", "*", "openai/gpt-4o", "openai/openai/gpt-4o", "claude", " OpenAI/Claude"])
PROVIDERS = st.sampled_from([None, None, "openai", "OpenAI"])
CALLED_MODELS = st.sampled_from(
    ["gpt-4o", "gpt-4o", "GPT-4o ", "openai/gpt-4o", "openai/OpenAI/gpt-4o", "claude", "OpenAI/claude", "other"]
)
CALLED_PROVIDERS = st.sampled_from([None, None, "openai", " OPENAI", "anthropic"])
KEYS = ("key-1", "key-2")
USERS = st.sampled_from([None, None, "ada", "bob"])
LARGEST_COST = "1000000"
COSTS = st.sampled_from(
    [None, None, "0", "0.01", "0.1", "0.25", "0.3333333333", "1e-12", "0.5", "0.5", "2.75", LARGEST_COST]
)
TOKENS = st.sampled_from([None, None, 0, 1, 7, 40, 50, 120, 2**39])
TTLS = st.sampled_from([1, 60, 600, 86400])
BUDGETS = st.sampled_from(["0.5", "0.5", "2.75", "40", "40", "0.000000001"])
TOKEN_MAXIMA = st.sampled_from([50, 50, 120, 10**6, 10**6, 5])
REQUEST_MAXIMA = st.sampled_from([2, 5, 20, 10**6, 1])
DURATIONS = st.sampled_from(sorted(oracle.LENGTHS))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
IDEMPOTENCY_KEYS = st.sampled_from([None, None, None, None, None, "once", "twice", "thrice"])
WORKERS = st.integers(0, 1)
FORWARD = st.sampled_from(
    [1, SECOND // 2, SECOND, 59 * SECOND, MINUTE, 10 * MINUTE, DAY // 24, DAY, 2 * DAY, 8 * DAY, 31 * DAY, 95 * DAY]
)
BACK = st.sampled_from([1, SECOND, MINUTE, DAY // 24, DAY, 2 * DAY, 3 * DAY])
FARTHEST_BACK = 6 * DAY
"""Within 7 days, a clock that was set back finds every counter of its windows."""
QUICK = "/dev/shm"  # noqa: S108 - the test does not depend on the disk


class Item(NamedTuple):
    """A requested budget (only cost) or rate limit: (maximum, duration) by metric."""

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


class Edit(NamedTuple):
    """One edit of a limit. Fields that the edit does not need are ignored."""

    what: str
    which: int
    maxima: dict[str, int]
    duration: str
    aligned: bool | None
    zone: str | None
    item: Item
    reset: bool


EDITS = st.tuples(
    st.sampled_from(
        [
            *("edit maximum", "edit windows", "edit windows", "edit windows", "add item", "add side"),
            *("remove item", "remove side", "reset usage", "reset usage", "delete"),
        ]
    ),
    st.integers(0, 99),
    st.fixed_dictionaries({"cost": BUDGETS.map(nanos), "tokens": TOKEN_MAXIMA, "requests": REQUEST_MAXIMA}),
    DURATIONS,
    st.sampled_from([None, False, True]),
    st.one_of(st.none(), ZONES),
    ITEMS,
    st.sampled_from([False, False, False, True]),
).map(lambda drawn: Edit(*drawn))


def distinct(items: list[Item]) -> list[Item]:
    """Return the items without those that have a window of an earlier item."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for item in items:
        windows = {(metric, duration) for metric, (_, duration) in item.sides.items()}
        if not windows & seen:
            kept.append(item)
            seen |= windows
    return kept


class Draft(NamedTuple):
    """A requested limit."""

    model: str
    provider: str | None
    scope: str
    scope_id: str | None
    aligned: bool
    zone: str
    items: list[Item]

    def body(self) -> dict[str, Any]:
        return {
            "model_name": self.model,
            "provider": self.provider,
            "scope": self.scope,
            "scope_id": self.scope_id,
            "calendar_aligned": self.aligned,
            "timezone": self.zone if self.aligned else "UTC",
            "budgets": [item.body() for item in self.items if item.is_budget],
            "rate_limits": [item.body() for item in self.items if not item.is_budget],
        }


SCOPES = st.sampled_from(
    [("global", None), ("global", None), ("virtual_key", "key-1"), ("virtual_key", "key-2"), ("user", "ada")]
)
DRAFTS = st.tuples(
    MODELS, PROVIDERS, SCOPES, st.booleans(), ZONES, st.lists(ITEMS, min_size=1, max_size=3).map(distinct)
).map(lambda drawn: Draft(drawn[0], drawn[1], *drawn[2], *drawn[3:]))
ASKS = st.tuples(CALLED_MODELS, CALLED_PROVIDERS, st.sampled_from([None, None, *KEYS]), st.booleans(), USERS).map(
    lambda drawn: Ask(*drawn)
)
VERBS = st.sampled_from(
    [
        *("reserve", "reserve", "reserve", "reserve", "report", "check", "again"),
        *("settle", "settle", "settle_as_held", "release", "extend", "look"),
    ]
)


class Act(NamedTuple):
    """One metering request. Fields that its kind does not need are ignored."""

    verb: str
    worker: int
    ask: Ask
    cost: str | None
    tokens: int | None
    requests: int | None
    ttl: int
    key: str | None
    which: int


ACTS = st.lists(
    st.tuples(
        VERBS,
        WORKERS,
        ASKS,
        COSTS,
        TOKENS,
        st.sampled_from([None, 0, 1, 3]),
        TTLS,
        IDEMPOTENCY_KEYS,
        st.integers(0, 29),
    ).map(lambda drawn: Act(*drawn)),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("template") / "governance.db"
    migrations.upgrade(made, 1)
    return made


def test_two_workers_answer_and_count_as_the_oracle_does(campaign: Campaign, template: Path) -> None:
    limits = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=False,
        print_blob=True,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    while campaign.goes_on():
        machine = type("Machine", (Metering,), {"template": template, "figures": campaign.figures})
        run_state_machine_as_test(seed(campaign.chance.getrandbits(64))(machine), settings=limits)


class Metering(RuleBasedStateMachine):
    """Does every act in the service and in the oracle."""

    template: Path
    figures: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(dir=QUICK if Path(QUICK).is_dir() else None)
        shutil.copy(self.template, self.folder.name)
        self.clock = FakeClock(NOON)
        self.latest = self.clock.now
        self.last = 0
        ids = (f"{number:08}" for number in count(1))
        self.random_ids = RandomIds(lambda: next(ids), lambda _: next(ids), lambda: next(ids))
        self.apps: list[Flask] = []
        self.reservations: list[str] = []
        self.keyed: list[Act] = []
        self.pruned = [0, 0]
        self.began = [NOON, NOON]
        self.trusted: list[set[int]] = [set(), set()]

    @initialize(charge=st.booleans(), items=st.lists(ITEMS, min_size=1, max_size=3))
    def begin(self, *, charge: bool, items: list[Item]) -> None:
        policy = "charge" if charge else "release"
        self.settings = Settings(
            instance=self.folder.name, admin_key=ADMIN_KEY, expired_reservations=policy, synchronous="normal"
        )
        self.apps = [create_app(self.settings, clock=self.clock, random_ids=self.random_ids) for _ in range(2)]
        self.oracle = Oracle(charge_expired=charge)
        for worker, key in enumerate(KEYS):
            self.make_key(worker, key, None)
        self.create(0, Draft("gpt-4o", None, "global", None, aligned=False, zone="UTC", items=distinct(items)))

    def teardown(self) -> None:
        for app in self.apps:
            close(app)
        self.folder.cleanup()

    # Requests to the service.

    def service(self, worker: int) -> Container:
        self.last = worker
        return governance_of(self.apps[worker])

    def api(self, worker: int) -> Api:
        self.last = worker
        self.figures["requests"] += 1
        return Api(self.apps[worker].test_client())

    def trusted_time(self, worker: int, least: int) -> int:
        """Return the clock's time.

        The time is 0 if the clock has not been right for `least` microseconds in the view of the worker
        (docs/contract.md §6).
        """
        is_trusted = least in self.trusted[worker] or self.clock.now - self.began[worker] >= least
        return self.clock.now if is_trusted else 0

    def send(self, worker: int, path: str, body: str = "{}", key: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return self.api(worker).request("POST", path, data=body, headers=headers)

    def assert_refused(self, reply: Any, refused: Refused) -> None:
        assert (reply.status_code, read(reply)["error"]["code"]) == (refused.status, refused.code), reply.text
        if refused.extra is not None:
            assert read(reply)["extra_fields"] == refused.extra
            assert reply.headers.get("Retry-After") == (refused.retry_after and str(refused.retry_after))

    # Metering: several acts in a row, each by one of the workers.

    @rule(acts=ACTS)
    def meter(self, acts: list[Act]) -> None:
        for act in acts:
            getattr(self, act.verb)(act)

    def again(self, act: Act) -> None:
        """Repeat a request that had an Idempotency-Key, on any worker."""
        if self.keyed:
            before = self.keyed[-1 - act.which % len(self.keyed)]
            getattr(self, before.verb)(before._replace(worker=act.worker))

    def reserve(self, act: Act) -> None:
        self.keyed += [act] if act.key else []
        ask = amounts(act)._replace(ttl=act.ttl)
        reply = self.send(
            act.worker,
            "reservations",
            body_of(ask, act, ttl_seconds=None if act.ttl == oracle.DEFAULT_TTL else act.ttl),
            act.key,
        )
        try:
            known = self.oracle.repeated("reservations", act.key, ask, self.trusted_time(act.worker, MINUTE))
            if known is None:
                self.oracle.admit(ask, self.clock.now)
        except Refused as refused:
            self.assert_refused(reply, refused)
            return
        if not self.is_repeat(reply, known):
            answer = read(reply)
            made = self.oracle.hold(ask, answer["reservation"]["id"], self.clock.now)
            limits = self.oracle.standings(ask, self.clock.now)
            assert answer == {"decision": "allow", "reservation": made.shown(), "limits": limits}
            self.oracle.keep("reservations", act.key, ask, reply.data, self.clock.now)
            self.reservations.append(made.id)

    def report(self, act: Act) -> None:
        self.keyed += [act] if act.key else []
        ask = amounts(act)
        ask = ask._replace(
            cost=ask.of("cost"),
            tokens=ask.of("tokens"),
            requests=1 if act.requests is None else act.requests,
            by_value=False,
        )
        reply = self.send(act.worker, "usage", body_of(ask, act, requests=act.requests), act.key)
        try:
            known = self.oracle.repeated("usage", act.key, ask, self.trusted_time(act.worker, MINUTE))
        except Refused as refused:
            self.assert_refused(reply, refused)
            return
        if known is None and self.is_too_much(reply, self.oracle.reported(ask, self.clock.now)):
            return
        if not self.is_repeat(reply, known):
            self.oracle.report(ask, self.clock.now)
            standings = self.oracle.standings(ask, self.clock.now)
            assert read(reply)["limits"] == [each | {"over": each["remaining"] == 0} for each in standings]
            self.oracle.keep("usage", act.key, ask, reply.data, self.clock.now)

    def is_too_much(self, reply: Any, added: list[tuple[Window, int]]) -> bool:
        """Return whether a response says that a sum would be too large.

        It must say so exactly in the necessary cases.
        """
        kept = [pair for pair in added if not self.may_be_dropped(pair[0].start, pair[0].end)]
        must = any(window.must_pass(more) for window, more in kept)
        refused = reply.status_code == 400
        assert must <= refused <= any(window.may_pass(more) for window, more in added), reply.text
        assert not refused or "2^62" in reply.text
        self.figures["sums refused"] += refused
        return refused

    def is_repeat(self, reply: Any, known: bytes | None) -> bool:
        """Return whether the request was answered before. If so, the response must be the same."""
        assert reply.status_code == 200, reply.text
        assert (reply.headers.get("Idempotent-Replayed") == "true") == (known is not None)
        assert known is None or reply.data == known
        return known is not None

    def check(self, act: Act) -> None:
        ask, now = amounts(act), self.clock.now
        answer = read(self.send(act.worker, "check", body_of(ask, act)))
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

    def settle(self, act: Act) -> None:
        held = self.chosen(act)
        reply = self.send(act.worker, f"reservations/{held}/settle", numbers({"tokens": act.tokens}, act.cost))
        cost = None if act.cost is None else nanos(act.cost)
        if not self.is_too_much(reply, self.oracle.settled(held, cost, act.tokens)):
            self.assert_ended(reply, lambda: self.oracle.settle(held, cost, act.tokens, self.clock.now))

    def settle_as_held(self, act: Act) -> None:
        self.settle(act._replace(cost=None, tokens=None))

    def release(self, act: Act) -> None:
        held = self.chosen(act)
        reply = self.send(act.worker, f"reservations/{held}/release")
        self.assert_ended(reply, lambda: self.oracle.release(held, self.clock.now))

    def extend(self, act: Act) -> None:
        held = self.chosen(act)
        reply = self.send(act.worker, f"reservations/{held}/extend", numbers({"ttl_seconds": act.ttl}, None))
        self.assert_ended(reply, lambda: self.oracle.extend(held, act.ttl, self.clock.now))

    def look(self, act: Act) -> None:
        held = self.chosen(act)
        reply = self.api(act.worker).get(f"reservations/{held}")
        self.assert_ended(reply, lambda: self.oracle.found(held))

    def chosen(self, act: Act) -> str:
        """Return one of the open reservations, or less often one of all reservations."""
        known = self.oracle.reservations
        opened = [held for held in self.reservations if held in known and known[held].status == "open"]
        some = opened if opened and act.which % 3 else self.reservations
        return some[-1 - act.which // 3 % len(some)] if some else "none"

    def assert_ended(self, reply: Any, act: Callable[[], oracle.Reservation]) -> None:
        try:
            held = act()
        except Refused as refused:
            self.assert_refused(reply, refused)
        else:
            assert reply.status_code == 200, reply.text
            assert read(reply) == {"reservation": held.shown()}

    # Time.

    @rule(microseconds=FORWARD, acts=ACTS)
    def wait(self, microseconds: int, acts: list[Act]) -> None:
        self.set_clock(self.clock.now + microseconds)
        self.meter(acts)

    @rule(which=st.integers(0, 99), before=st.booleans(), acts=ACTS)
    def wait_for_an_edge(self, which: int, acts: list[Act], *, before: bool) -> None:
        """Move the clock to the first instant of a rule's next window, or to the last instant of its current one."""
        pairs = [(each, limit) for limit in self.oracle.limits.values() for each in limit.rules]
        if pairs:
            each, limit = pairs[which % len(pairs)]
            end = oracle.current(each, limit, self.clock.now).end
            self.set_clock(max(self.clock.now, end - before))
        self.meter(acts)

    @rule(microseconds=BACK, acts=ACTS)
    def step_back(self, microseconds: int, acts: list[Act]) -> None:
        self.set_clock(max(self.clock.now - microseconds, self.latest - FARTHEST_BACK))
        self.meter(acts)

    def set_clock(self, now: int) -> None:
        self.clock.now = now
        self.latest = max(self.latest, now)

    # Tasks without a request.

    @rule(worker=WORKERS, what=st.sampled_from(["sweep", "poll", "poll", "restart"]), acts=ACTS)
    def by_itself(self, worker: int, what: str, acts: list[Act]) -> None:
        getattr(self, what)(worker)
        self.meter(acts)

    def sweep(self, worker: int) -> None:
        self.service(worker).reservations.sweep()
        self.oracle.sweep(self.trusted_time(worker, BEFORE_EXPIRY))

    def poll(self, worker: int) -> None:
        """Run all tasks of a poll. Pruning is one of them, at most once a minute in each worker."""
        for task in self.service(worker).poller._tasks:
            task()
        self.service(worker).retention.due()
        self.trusted[worker] |= {least for least in (BEFORE_EXPIRY, MINUTE) if self.trusted_time(worker, least)}
        self.oracle.sweep(self.trusted_time(worker, BEFORE_EXPIRY))
        now = self.trusted_time(worker, MINUTE)
        if not self.pruned[worker] <= now < self.pruned[worker] + MINUTE:
            self.pruned[worker] = now
            if not now:
                return
            with self.service(worker).database.read() as connection:
                stored = set(connection.execute(text("SELECT id FROM reservations")).scalars())
            self.oracle.prune(self.clock.now, stored, FARTHEST_BACK + MINUTE)

    def restart(self, worker: int) -> None:
        close(self.apps[worker])
        self.apps[worker] = create_app(self.settings, clock=self.clock, random_ids=self.random_ids)
        self.pruned[worker] = 0
        self.began[worker], self.trusted[worker] = self.clock.now, set()

    @rule(which=st.integers(0, 99), below=st.sampled_from([0, 0, 1, 10**7, 10**15]), acts=ACTS)
    def fill(self, which: int, below: int, acts: list[Act]) -> None:
        """Bring a counter near the largest sum, as years of reports or an earlier version may have done."""
        filled = [
            (each, each.windows[-1])
            for limit in self.oracle.limits.values()
            for each in limit.rules
            if each.windows and each.windows[-1].end > self.clock.now
        ]
        if filled:
            each, window = filled[which % len(filled)]
            used = max(window.used, oracle.LARGEST_SUM - window.reserved - below)
            self.write_used(each, window, used)
            window.used = used
        self.meter(acts)

    def write_used(self, each: Rule, window: Window, used: int) -> None:
        """Write the usage without the service.

        `folded` takes the difference, so the counter still equals its ledger.
        """
        own = (counters.c.rule_id == each.id, counters.c.metric == each.metric)
        at = (counters.c.window_start == window.start, counters.c.window_end == window.end)
        with governance_of(self.apps[self.last]).database.write() as connection:
            changed = connection.execute(
                update(counters)
                .where(*own, *at, counters.c.used == window.used, counters.c.reserved == window.reserved)
                .values(
                    used=used,
                    folded=counters.c.folded + used - counters.c.used,
                    touched_at=touch(connection, self.clock.now),
                )
            )
        assert changed.rowcount == 1

    # Limits.

    @rule(worker=WORKERS, draft=DRAFTS)
    def create(self, worker: int, draft: Draft) -> None:
        limit = Limit("", *draft[:-1])
        reply = self.api(worker).post("model-configs", draft.body())
        refusals = self.refusals(limit, draft)
        if refusals:
            assert reply.status_code in refusals, reply.text
            return
        assert reply.status_code == 200, reply.text
        answer = read(reply)["model_config"]
        limit.id = answer["id"]
        self.learn(limit, answer, draft.items)
        self.oracle.limits[limit.id] = limit

    def refusals(self, limit: Limit, draft: Draft) -> set[int]:
        """Return the statuses of a create that must be refused."""
        durations = {duration for item in draft.items for _, duration in item.sides.values()}
        misaligned = limit.aligned and not durations & oracle.ALIGNABLE
        keyless = limit.scope == "virtual_key" and limit.scope_id not in self.oracle.keys
        second = limit.identity in {each.identity for each in self.oracle.limits.values()}
        return ({400} if misaligned or keyless else set()) | ({409} if second else set())

    def learn(self, limit: Limit, answer: dict[str, Any], new: list[Item]) -> None:
        """Note the ids of new items. The items are found by their windows."""
        shown = answer["budgets"] + answer["rate_limits"]
        known = {each.id for each in limit.rules}
        for item in new:
            (item_id,) = [each["id"] for each in shown if each["id"] not in known and windows_of(each) == item.sides]
            limit.rules += [
                Rule(item_id, metric, most, duration, self.clock.now) for metric, (most, duration) in item.sides.items()
            ]

    @rule(worker=WORKERS, edit=EDITS, acts=ACTS)
    def edit(self, worker: int, edit: Edit, acts: list[Act]) -> None:
        living = list(self.oracle.limits.values())
        if living:
            limit = living[edit.which % len(living)]
            each = limit.rules[edit.which // len(living) % len(limit.rules)] if limit.rules else None
            getattr(self, edit.what.replace(" ", "_"))(worker, limit, each, edit)
        self.meter(acts)

    @rule(worker=WORKERS, edit=EDITS, acts=ACTS)
    def edit_more(self, worker: int, edit: Edit, acts: list[Act]) -> None:
        """Edit again, so that few examples have no edit."""
        self.edit(worker, edit, acts)

    def delete(self, worker: int, limit: Limit, *_: Any) -> None:
        """Delete a limit with its counters and reservations."""
        assert [self.api(worker).delete(f"model-configs/{limit.id}").status_code for _ in range(2)] == [200, 404]
        assert self.api(worker).put(f"model-configs/{limit.id}", {"reset_usage": True}).status_code == 404
        del self.oracle.limits[limit.id]

    def reset_usage(self, worker: int, limit: Limit, *_: Any) -> None:
        assert self.api(worker).put(f"model-configs/{limit.id}", {"reset_usage": True}).status_code == 200
        self.oracle.reset_usage(limit, self.clock.now)

    def edit_maximum(self, worker: int, limit: Limit, each: Rule | None, edit: Edit) -> None:
        if each is not None:
            each.most = edit.maxima[each.metric]
            self.put(worker, limit, edit)

    def edit_windows(self, worker: int, limit: Limit, each: Rule | None, edit: Edit) -> None:
        """Change the duration of one rule, the alignment and the zone in one edit."""
        if each is None:
            return
        taken = any(other.metric == each.metric and other.duration == edit.duration for other in limit.rules)
        durations = {} if taken else {(each.id, each.metric): edit.duration}
        aligned = limit.aligned if edit.aligned is None else edit.aligned
        after = {durations.get((other.id, other.metric), other.duration) for other in limit.rules}
        if after & oracle.ALIGNABLE or not aligned:
            self.put(worker, limit, edit, aligned=aligned, zone=edit.zone, durations=durations)

    def add_item(self, worker: int, limit: Limit, _: Rule | None, edit: Edit) -> None:
        taken = {(each.metric, each.duration) for each in limit.rules}
        added = {(metric, duration) for metric, (_, duration) in edit.item.sides.items()}
        durations = {duration for _, duration in taken | added}
        if not taken & added and (durations & oracle.ALIGNABLE or not limit.aligned):
            self.put(worker, limit, edit, new=[edit.item])

    def remove_item(self, worker: int, limit: Limit, each: Rule | None, edit: Edit) -> None:
        """Remove an item with its counters. Open reservations are settled on the other counters."""
        self.keep_only(worker, limit, [other for other in limit.rules if each and other.id != each.id], edit)

    def remove_side(self, worker: int, limit: Limit, each: Rule | None, edit: Edit) -> None:
        self.keep_only(worker, limit, [other for other in limit.rules if other is not each], edit)

    def keep_only(self, worker: int, limit: Limit, left: list[Rule], edit: Edit) -> None:
        if not limit.aligned or not left or {other.duration for other in left} & oracle.ALIGNABLE:
            limit.rules = left
            self.put(worker, limit, edit)

    def add_side(self, worker: int, limit: Limit, each: Rule | None, edit: Edit) -> None:
        """Add the other metric to a rate limit that has one metric."""
        metric = {"tokens": "requests", "requests": "tokens"}.get(each.metric) if each else None
        taken = any(other.metric == metric and other.duration == edit.duration for other in limit.rules)
        if each is not None and metric is not None and len(limit.item(each.id)) == 1 and not taken:
            limit.rules.append(Rule(each.id, metric, edit.maxima[metric], edit.duration, self.clock.now))
            self.put(worker, limit, edit)

    def put(
        self,
        worker: int,
        limit: Limit,
        edit: Edit,
        *,
        aligned: bool | None = None,
        zone: str | None = None,
        durations: dict[tuple[str, str], str] | None = None,
        new: list[Item] | None = None,
    ) -> None:
        """Edit the service's limit to equal the oracle's, with other windows and new items."""
        durations, new = durations or {}, new or []
        aligned = limit.aligned if aligned is None else aligned
        zone = zone or limit.zone if aligned else "UTC"
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
            "reset_usage": edit.reset,
        }
        reply = self.api(worker).put(f"model-configs/{limit.id}", body)
        assert reply.status_code == 200, reply.text
        self.oracle.edit(limit, self.clock.now, aligned=aligned, zone=zone, durations=durations)
        self.learn(limit, read(reply)["model_config"], new)
        if edit.reset:
            self.oracle.reset_usage(limit, self.clock.now)

    # Virtual keys.

    @rule(
        worker=WORKERS,
        key=st.sampled_from(KEYS),
        what=st.sampled_from(["make", "switch on", "switch off", "delete"]),
        lifetime=st.sampled_from([None, DAY // 24, 2 * DAY]),
    )
    def edit_key(self, worker: int, key: str, what: str, lifetime: int | None) -> None:
        if what == "make":
            self.make_key(worker, key, None if lifetime is None else self.clock.now + lifetime)
        elif what == "delete":
            self.delete_key(worker, key)
        else:
            self.switch_key(worker, key, active=what == "switch on")

    def make_key(self, worker: int, key: str, expires_at: int | None) -> None:
        shown = {} if expires_at is None else {"expires_at": rfc3339(expires_at)}
        body = {"id": key, "name": f"name of {key}", "value": f"sk-{key}", **shown}
        reply = self.api(worker).post("virtual-keys", body)
        assert reply.status_code == (409 if key in self.oracle.keys else 200), reply.text
        self.oracle.keys.setdefault(key, oracle.Key(key, expires_at=expires_at))

    def switch_key(self, worker: int, key: str, *, active: bool) -> None:
        reply = self.api(worker).put(f"virtual-keys/{key}", {"is_active": active})
        assert reply.status_code == (200 if key in self.oracle.keys else 404), reply.text
        if key in self.oracle.keys:
            self.oracle.keys[key].active = active

    def delete_key(self, worker: int, key: str) -> None:
        reply = self.api(worker).delete(f"virtual-keys/{key}")
        assert reply.status_code == (200 if key in self.oracle.keys else 404), reply.text
        self.oracle.keys.pop(key, None)
        self.oracle.limits = {
            limit.id: limit
            for limit in self.oracle.limits.values()
            if (limit.scope, limit.scope_id) != ("virtual_key", key)
        }

    # Properties after every step.

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
        assert all(self.may_be_dropped(start, end) for _, _, start, end, _, _ in dropped)

    def may_be_dropped(self, start: int, end: int) -> bool:
        """Return whether the retention of a window's counter has passed."""
        return end < self.latest - oracle.counter_kept(start, end)

    @invariant()
    def every_counter_equals_its_ledger(self) -> None:
        with governance_of(self.apps[self.last]).database.read() as connection:
            assert verification.differences(connection)[1] == []

    @invariant()
    def memory_equals_the_database_after_a_refresh(self) -> None:
        self.service(self.last).cache.refresh()
        for path in LISTS:
            both = [self.api(self.last).get(f"{path}&from_memory={source}") for source in ("true", "false")]
            assert [reply.status_code for reply in both] == [200, 200]
            assert both[0].data == both[1].data
            if path == LISTS[0]:
                self.assert_shown(read(both[1])["model_configs"])

    def assert_shown(self, documents: list[dict[str, Any]]) -> None:
        """Check that the list shows every rule in its current window."""
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


LISTS = ("model-configs?limit=100", "model-configs?sort_by=usage", "budgets?limit=100", "rate-limits?limit=100")
COUNTERS = "SELECT rule_id, metric, window_start, window_end, used, reserved FROM counters"
BUDGET_FIELDS = ("max_limit", "current_usage", "reserved", "last_reset", "resets_at")
RATE_FIELDS = ("max_limit", "current_usage", "reserved", "last_reset", "resets_at")


def windows_of(item: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Return a budget or rate limit of a response as (maximum, duration) by metric."""
    if "max_limit" in item:
        return {"cost": (int(item["max_limit"] * oracle.NANOS), item["reset_duration"])}
    sides = {"tokens": "token", "requests": "request"}
    return {
        metric: (item[f"{prefix}_max_limit"], item[f"{prefix}_reset_duration"])
        for metric, prefix in sides.items()
        if item[f"{prefix}_max_limit"] is not None
    }


def amounts(act: Act) -> Ask:
    """Return the call of an act after validation."""
    by_value = act.ask.by_value and act.ask.key_id is not None
    return act.ask._replace(cost=None if act.cost is None else nanos(act.cost), tokens=act.tokens, by_value=by_value)


def body_of(ask: Ask, act: Act, **more: int | None) -> str:
    key = {"virtual_key": f"sk-{ask.key_id}"} if ask.by_value else {"virtual_key_id": ask.key_id}
    call = {"model": ask.model, "provider": ask.provider, "user_id": ask.user_id, "tokens": act.tokens, **key, **more}
    return numbers(call, act.cost)


def numbers(body: dict[str, Any], cost: str | None) -> str:
    """Return the body as JSON without its None values. The cost is written as given."""
    given = {name: value for name, value in body.items() if value is not None}
    head = json.dumps(given)[:-1]
    return f'{head}{", " if given else ""}"cost": {cost}}}' if cost is not None else f"{head}}}"


def read(reply: Any) -> Any:
    return json.loads(reply.data, parse_float=Fraction)


def close(app: Flask) -> None:
    governance_of(app).group.stop()
    governance_of(app).database.engine.dispose()
