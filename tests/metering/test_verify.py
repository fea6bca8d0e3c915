"""`flask governance verify` (docs/contract.md §6): every counter equals the sum of its ledger.

Differences are reported.
"""

import json
import random

import pytest
from sqlalchemy import delete, update

from governance.storage.tables import counters, ledger
from tests.metering.conftest import DAY, dollars, ok, requests, tokens

PROVED = "Usage history: {} buckets, days and months. Each equals the calls that it sums.\n"


@pytest.fixture
def verify(app):
    """Return a function that runs the command."""

    def run(*arguments):
        return app.test_cli_runner().invoke(args=["governance", "verify", *arguments])

    return run


@pytest.fixture
def limit(api, meter):
    """Create a limit with three counters. Two of them have usage or reservations."""
    made = api.create(budget=dollars(10), rate_limit=tokens(100) | requests(5))
    meter.settled(meter.hold(cost=0.5, tokens=7), cost=1.5)
    meter.hold(cost=0.25)
    meter.reported(cost=2, tokens=3)
    return made


def tamper(database, statement):
    with database.write() as connection:
        connection.execute(statement)


def test_where_nothing_was_counted_there_is_nothing_to_find(verify):
    result = verify()
    shown = "Counters: 0. Each equals its ledger.\n" + PROVED.format(0)
    assert (result.exit_code, result.stdout, result.stderr) == (0, shown, "")


def test_counters_that_equal_their_ledger_are_counted_and_it_is_done(limit, verify):
    result = verify()
    shown = "Counters: 3. Each equals its ledger.\n" + PROVED.format(1)
    assert (result.exit_code, result.stdout, result.stderr) == (0, shown, "")


def test_as_json_it_is_one_object(limit, verify):
    result = verify("--json")
    assert (result.exit_code, result.stderr) == (0, "")
    proved = {"history": 1, "history_differences": []}
    assert json.loads(result.stdout) == {"counters": 3, "differences": [], "full": []} | proved


def test_a_counter_that_was_changed_by_hand_is_named_with_both_amounts(limit, verify, database):
    tamper(database, update(counters).where(counters.c.metric == "cost").values(used=counters.c.used + 1))
    result = verify()
    assert (result.exit_code, result.stdout) == (1, PROVED.format(1))
    assert result.stderr == (
        f"cost of rule {limit['budget']['id']} from 2026-11-23T12:00:00Z: "
        "used 3.500000001, its ledger says 3.5; reserved 0.25, its ledger says 0.25.\n"
    )


def test_as_json_a_difference_has_all_its_figures(limit, verify, database):
    tamper(database, update(counters).where(counters.c.metric == "requests").values(reserved=5))
    result = verify("--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "counters": 3,
        "differences": [
            {
                "rule_id": limit["rate_limit"]["id"],
                "metric": "requests",
                "window_start": "2026-11-23T12:00:00Z",
                "used": 2,
                "ledger_used": 2,
                "reserved": 5,
                "ledger_reserved": 1,
            }
        ],
        "full": [],
        "history": 1,
        "history_differences": [],
    }


@pytest.mark.parametrize(
    ("statement", "metrics"),
    [
        (update(counters).values(used=counters.c.used + 1), {"cost", "tokens", "requests"}),
        (update(counters).where(counters.c.metric == "tokens").values(used=0), {"tokens"}),
        (update(counters).where(counters.c.metric == "cost").values(reserved=0), {"cost"}),
        (update(counters).where(counters.c.metric == "cost").values(folded=1), {"cost"}),
        (update(ledger).where(ledger.c.held == 250_000_000).values(held=1), {"cost"}),
        (update(ledger).where(ledger.c.used == 7).values(used=8), {"tokens"}),
        (delete(ledger).where(ledger.c.used == 3), {"tokens"}),
        (delete(ledger), {"cost", "tokens", "requests"}),
    ],
)
def test_whatever_does_not_add_up_is_found(limit, verify, database, statement, metrics):
    tamper(database, statement)
    result = verify()
    assert result.exit_code == 1
    assert {line.partition(" ")[0] for line in result.stderr.splitlines()} == metrics
    found = json.loads(verify("--json").stdout)["differences"]
    assert {difference["metric"] for difference in found} == metrics


def test_looking_changes_no_counter(limit, verify, database, meter):
    tamper(database, update(counters).values(used=counters.c.used + 1))
    before = meter.stands(limit)
    verify()
    assert meter.stands(limit) == before
    assert verify().exit_code == 1


def test_a_closed_window_is_proved_too(limit, verify, database, clock):
    clock.advance(30 * DAY)
    assert verify().stdout == "Counters: 3. Each equals its ledger.\n" + PROVED.format(1)
    tamper(database, update(counters).where(counters.c.metric == "cost").values(used=1))
    assert verify().exit_code == 1


def test_a_database_that_cannot_be_asked_is_a_fault_in_one_line(limit, verify, settings):
    settings.database_path.rename(settings.database_path.with_suffix(".away"))
    result = verify()
    settings.database_path.with_suffix(".away").rename(settings.database_path)
    assert result.exit_code == 1
    assert "governance.db is missing" in result.output
    assert result.output.count("\n") == 1


DURATIONS = ["1m", "1h", "1d", "1M"]


class Day:
    """A day with random acts. `held` has the reservations that were made."""

    def __init__(self, meter, clock, governance, seed):
        self.meter, self.api, self.clock, self.governance = meter, meter.api, clock, governance
        self.random = random.Random(seed)
        self.held = []
        self.limits = [self.made(model) for model in ("gpt-4o", "*")]

    def made(self, model):
        rates = tokens(200, "1h") | requests(20, "1d")
        return self.api.create(model, budgets=[dollars(2, "1h"), dollars(9, "1M")], rate_limit=rates)["id"]

    def amounts(self):
        return {"cost": self.random.choice([0, 0.1, 0.3, 1.1]), "tokens": self.random.choice([0, 1, 30])}

    def reserve(self):
        response = self.meter.reserve(**self.amounts(), ttl_seconds=self.random.choice([1, 60, 86400]))
        assert response.status_code in (200, 402, 429), response.text
        if response.status_code == 200:
            self.held.append(response.get_json()["reservation"]["id"])
            for rule in response.get_json()["limits"]:
                assert not rule["requested"] or rule["used"] + rule["reserved"] <= rule["limit"] + 1e-9

    def report(self):
        self.meter.reported(**self.amounts(), requests=self.random.randrange(3))

    def end(self):
        if self.held:
            act = self.random.choice([lambda held: self.meter.settle(held, self.amounts()), self.meter.release])
            assert act(self.random.choice(self.held)).status_code in (200, 404, 409)

    def extend(self):
        if self.held:
            assert self.meter.extend(self.random.choice(self.held), 3600).status_code in (200, 404, 409)

    def edit(self):
        """Change a limit: the window of the first budget or of the rate limit, or the alignment, or reset it."""
        now = ok(self.api.get(f"model-configs/{self.random.choice(self.limits)}"))["model_config"]
        body = self.random.choice(
            [
                {
                    "budgets": [
                        {"id": b["id"]} | dollars(b["max_limit"], d)
                        for b, d in zip(now["budgets"], self.some(2), strict=True)
                    ]
                },
                {
                    "rate_limits": [
                        {"id": now["rate_limit"]["id"]} | tokens(200, self.some(1)[0]) | requests(20, self.some(1)[0])
                    ]
                },
                {"budgets": [dollars(2, "1h"), dollars(9, "1M")], "calendar_aligned": not now["calendar_aligned"]},
                {"timezone": self.random.choice(["UTC", "Asia/Kolkata", "America/New_York"])},
                {"reset_usage": True},
            ]
        )
        response = self.api.put(f"model-configs/{now['id']}", body)
        assert response.status_code in (200, 400), response.text

    def some(self, count):
        return self.random.sample(DURATIONS, count)

    def remake(self):
        """Delete a limit, and create another one in its place."""
        place = self.random.randrange(len(self.limits))
        self.api.delete(f"model-configs/{self.limits[place]}")
        self.limits[place] = self.made(("gpt-4o", "*")[place])

    def wait(self):
        """Move the clock, in either direction."""
        self.clock.advance(self.random.choice([0.5, 30, 3600, DAY, 8 * DAY, -30, -7200]))

    def poll(self):
        self.governance.poller.poll()

    def go_on(self, steps):
        acts = [self.reserve, self.report, self.end, self.extend, self.edit, self.remake, self.wait, self.poll]
        for act in self.random.choices(acts, weights=[30, 10, 25, 5, 8, 1, 12, 4], k=steps):
            act()


@pytest.mark.parametrize("options", [{}, {"expired_reservations": "release"}], ids=["charge", "release"])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_in_whatever_order_every_counter_equals_its_ledger(meter, clock, governance, seed, options):
    day = Day(meter, clock, governance, seed)
    for _ in range(8):
        day.go_on(25)
        meter.proven()
        governance.cache.refresh()
        assert day.api.get("model-configs").data == day.api.get("model-configs?from_memory=true").data
    clock.advance(100 * DAY)
    for _ in range(3):
        clock.advance(DAY)
        day.poll()
    assert meter.proven() == 0 or ok(day.api.get("reservations?status=open"))["total_count"] == 0
