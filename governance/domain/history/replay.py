"""Replays stored calls one by one, to find which calls a limit would have refused.

Each decision is made by the same function as for live calls. In the replay, each call requests the amounts that it
reserved when it was admitted. These amounts stay reserved until the call ended. Then the call is charged what it used.
If a call reserved 0 of an amount but used some of it, its request had not given this amount. A report, which is usage
that was reported without a reservation, requests what it used.
"""

from collections.abc import Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import NamedTuple

from governance.domain.history.refused_groups import SeriesCalls, exact_groups
from governance.domain.history.usage import Series, series_of
from governance.domain.history.what_if import Bounds, StoredCall, WhatIf, matched_rules
from governance.domain.limits.limit import Counter, Limit
from governance.domain.limits.windows import window
from governance.domain.metering.decision import decide
from governance.domain.metering.matching import matches
from governance.domain.metering.request import Call, RequestedAmounts
from governance.domain.metering.reservation import Amounts

CALLS_REMEMBERED = 65_536


class ReplayedWindow:
    """The usage of a rule in one window of the replay."""

    __slots__ = ("counter",)

    def __init__(self, start: int, end: int) -> None:
        self.counter = Counter(start, end, 0, 0)

    def move(self, held: int, used: int) -> None:
        """Add `held` to the reserved amount, and `used` to the used amount."""
        start, end, before, reserved = self.counter
        self.counter = Counter(start, end, before + used, reserved + held)


class End(NamedTuple):
    """The end of a reservation: the amounts that it reserved and used in each window.

    If two reservations end at the same instant, the one with the lower `seq` ends first.
    """

    at: int
    seq: int
    held: Sequence[int]
    used: Sequence[int]
    windows: Sequence[ReplayedWindow]


class Replay:
    """The state of a replay. Calls must be added in the order in which they were admitted."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._rules = matched_rules(limit)
        self._current: list[ReplayedWindow | None] = [None] * len(self._rules)
        self._ends: list[End] = []
        self._counted: dict[Series, SeriesCalls] = {}
        self._counts_of = lru_cache(CALLS_REMEMBERED)(self._matched_counts)
        self._calls = self._refused = 0
        self._all = self._passed = Amounts(0, 0, 0)
        self._first: int | None = None

    def add(self, stored: StoredCall) -> None:
        """Decide about the next call, and count it."""
        counts = self._counts_of(stored.call)
        if counts is None:
            return
        self._end_until(stored.admitted_at)
        windows = [self._window(place, stored.admitted_at) for place in range(len(self._rules))]
        asked = _asked(stored)
        statuses, violations = decide(self._rules, [each.counter for each in windows], asked)
        used = Amounts(stored.used_cost, stored.used_tokens, stored.requests)
        self._calls += asked.requests
        counts.calls += asked.requests
        self._all = _plus(self._all, used)
        if violations:
            self._refused += asked.requests
            counts.refused += asked.requests
            self._first = stored.admitted_at if self._first is None else self._first
            return
        self._passed = _plus(self._passed, used)
        charged = [used.of(each.rule.metric) for each in self._rules]
        if stored.is_report:
            _move(windows, [0] * len(windows), charged)
            return
        held = [status.requested for status in statuses]
        _move(windows, held, [0] * len(windows))
        if stored.ended_at is not None:
            heappush(self._ends, End(stored.ended_at, stored.seq, held, charged, windows))

    def result(self) -> WhatIf:
        """Return the counts of all calls that were added so far."""
        return WhatIf(
            is_exact=True,
            calls=self._calls,
            cost=self._all.cost,
            tokens=self._all.tokens,
            refused=Bounds(self._refused, self._refused),
            spent=Bounds(self._passed.cost, self._passed.cost),
            spent_tokens=Bounds(self._passed.tokens, self._passed.tokens),
            earliest=self._first,
            latest=self._first,
            refused_by=exact_groups(self._counted),
        )

    def _matched_counts(self, call: Call) -> SeriesCalls | None:
        """Return the counts of the call's series: its combination of provider, model, virtual key and user.

        Return None if the limit does not apply to the call.
        """
        if matches(call, {self._limit.identity: self._limit.id}):
            return self._counted.setdefault(series_of(call), SeriesCalls())
        return None

    def _end_until(self, now: int) -> None:
        """Charge the reservations that have ended by `now`."""
        while self._ends and self._ends[0].at <= now:
            _, _, held, used, windows = heappop(self._ends)
            _move(windows, [-amount for amount in held], used)

    def _window(self, place: int, now: int) -> ReplayedWindow:
        """Return the window of the rule at index `place` that contains the instant `now`."""
        known, rule = self._current[place], self._rules[place].rule
        if known is None or known.counter.end <= now:
            start, end = window(rule.duration, self._limit.alignment, rule.anchor, now)
            known = self._current[place] = ReplayedWindow(start, end)
        return known


def _asked(stored: StoredCall) -> RequestedAmounts:
    if stored.is_report:
        return RequestedAmounts(stored.used_cost, stored.used_tokens, stored.requests)
    cost = _given(stored.held_cost, stored.used_cost)
    return RequestedAmounts(cost, _given(stored.held_tokens, stored.used_tokens))


def _given(held: int, used: int) -> int | None:
    return None if used and not held else held


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(one.cost + other.cost, one.tokens + other.tokens, one.requests + other.requests)


def _move(windows: Sequence[ReplayedWindow], held: Sequence[int], used: Sequence[int]) -> None:
    for each, hold, use in zip(windows, held, used, strict=True):
        each.move(hold, use)
