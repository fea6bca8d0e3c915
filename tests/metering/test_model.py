"""The service compared with a simple model of docs/contract.md §6: the same random calls, decisions and counts."""

import random
from collections import defaultdict

import pytest

from tests.conftest import NOON
from tests.metering.conftest import NANOS, dollars, requests, tokens

SECOND = 1_000_000
RULES = [("cost", 2 * NANOS, 60), ("cost", 9 * NANOS, 3600), ("tokens", 50, 60), ("requests", 12, 3600)]
"""Metric, maximum (in nano-dollars, tokens or requests) and window in seconds. All windows begin at noon."""


class Model:
    """The usage and the reservations of each rule, window by window, in dictionaries."""

    def __init__(self, *, charge):
        self.charge = charge
        self.now = NOON
        self.used = defaultdict(int)
        self.held = defaultdict(int)
        self.reservations = {}

    def windows(self):
        """Return the window of each rule, as (index of the rule, start)."""
        return [(place, self.now - (self.now - NOON) % (length * SECOND)) for place, (_, _, length) in enumerate(RULES)]

    def has_room(self, asked):
        """Return whether a call with these amounts has room. None is a missing amount."""
        taken = [self.used[window] + self.held[window] for window in self.windows()]
        return all(
            total < most if asked[metric] is None else asked[metric] == 0 or total + asked[metric] <= most
            for total, (metric, most, _) in zip(taken, RULES, strict=True)
        )

    def hold(self, name, asked, ttl):
        held = {"asked": asked, "windows": self.windows(), "status": "open", "until": self.now + ttl * SECOND}
        self.reservations[name] = held | {"used": dict.fromkeys(asked, 0)}
        for window in self.windows():
            self.held[window] += asked[RULES[window[0]][0]]

    def end(self, name, status, used):
        """End a reservation, with the usage."""
        held = self.reservations[name]
        for window in held["windows"]:
            metric = RULES[window[0]][0]
            if held["status"] == "open":
                self.held[window] -= held["asked"][metric]
            self.used[window] += used[metric] - held["used"][metric]
        held |= {"status": status, "used": used}

    def sweep(self):
        for name, held in self.reservations.items():
            if held["status"] == "open" and held["until"] <= self.now:
                self.end(name, "expired", held["asked"] if self.charge else dict.fromkeys(held["asked"], 0))

    def report(self, used):
        for window in self.windows():
            self.used[window] += used[RULES[window[0]][0]]

    def books(self):
        """Return (used, reserved) of every window that has ever had a count, rule by rule."""
        counted = sorted(window for window in {*self.used, *self.held} if self.used[window] or self.held[window])
        return {window: (self.used[window], self.held[window]) for window in counted}


class Both:
    """Does each act in the service and in the model, and compares both."""

    def __init__(self, meter, model, seed):
        self.meter, self.model, self.random = meter, model, random.Random(seed)
        limit = meter.api.create(
            budgets=[dollars(2, "1m"), dollars(9, "1h")], rate_limit=tokens(50, "1m") | requests(12, "1h")
        )
        budgets, rate = limit["budgets"], limit["rate_limit"]
        self.items = [(budgets[0], "cost"), (budgets[1], "cost"), (rate, "tokens"), (rate, "requests")]

    def amounts(self):
        """Return amounts as the model counts them, and as a body has them."""
        cost = self.random.choice([0, 1, 100_000_001, 333_333_333, 999_999_999, 2 * NANOS])
        asked = {"cost": cost, "tokens": self.random.choice([0, 1, 7, 50])}
        return asked, asked | {"cost": cost / NANOS}

    def reserve(self):
        asked, sent = self.amounts()
        ttl = self.random.choice([1, 45, 5000])
        left_out = dict.fromkeys(name for name, amount in asked.items() if not amount and self.random.random() < 0.5)
        response = self.meter.reserve(**(sent | left_out), ttl_seconds=ttl)
        passes = self.model.has_room(asked | left_out | {"requests": 1})
        assert response.status_code == 200 if passes else response.status_code in (402, 429), response.text
        if passes:
            self.model.hold(response.get_json()["reservation"]["id"], asked | {"requests": 1}, ttl)

    def report(self):
        used, sent = self.amounts()
        if self.random.random() < 0.2:
            self.meter.reported(**sent)
            self.model.report(used | {"requests": 1})

    def settle(self):
        used, sent = self.amounts()
        self.end(lambda name: self.meter.settle(name, sent), "settled", used | {"requests": 1}, refused=["released"])

    def release(self):
        nothing = {"cost": 0, "tokens": 0, "requests": 0}
        self.end(self.meter.release, "released", nothing, refused=["settled"])

    def end(self, act, status, used, refused):
        if not self.model.reservations:
            return
        name = self.random.choice(list(self.model.reservations))
        held = self.model.reservations[name]
        response = act(name)
        if held["status"] in refused or (held["status"] == status and held["used"] != used):
            assert response.status_code == 409, response.text
            return
        late = held["status"] == "expired" or (held["status"] == "open" and held["until"] <= self.model.now)
        assert response.status_code == 200, response.text
        if held["status"] != status:
            assert response.get_json()["reservation"]["late"] is late
            self.model.end(name, status, used)

    def sweep(self):
        self.meter.sweep()
        self.model.sweep()

    def wait(self):
        seconds = self.random.choice([1, 10, 60, 600])
        self.meter.advance(seconds)
        self.model.now += seconds * SECOND

    def books(self):
        """Return the counts of the service in the form of the model."""
        found = {}
        for place, (item, metric) in enumerate(self.items):
            for start, used, held in self.meter.counted(item, metric):
                if used or held:
                    found[place, start] = (used, held)
        return found

    def step(self):
        acts = [self.reserve, self.report, self.settle, self.release, self.sweep, self.wait]
        self.random.choices(acts, weights=[40, 8, 20, 8, 6, 18])[0]()


@pytest.mark.parametrize("options", [{}, {"expired_reservations": "release"}], ids=["charge", "release"])
@pytest.mark.parametrize("seed", range(5))
def test_random_calls_are_decided_and_counted_as_by_the_plain_model(meter, options, seed):
    both = Both(meter, Model(charge=not options), seed)
    for _ in range(12):
        for _ in range(15):
            both.step()
        assert both.books() == both.model.books()
    meter.proven()
