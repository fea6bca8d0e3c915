"""Limits ranked by usage: always in sorted order, and made no more often than necessary."""

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.limits.limit import Counter, Counters, Limit, LimitState, usage_share
from governance.domain.records.list_query import Filter, Page
from governance.domain.times import DAY, HOUR
from governance.snapshot import snapshot as snapshots
from governance.snapshot import usage_rankings
from governance.snapshot.snapshot import Snapshot
from governance.snapshot.usage_rankings import Rankings
from tests.snapshot.states import State
from tests.storage.stored import NOON, limit, rule

counters = st.builds(
    lambda end, used: Counter(NOON - DAY, NOON + end * HOUR, used, 0), st.integers(1, 5), st.integers(0, 9)
)
usages = st.lists(st.tuples(st.none() | counters, st.none() | counters), max_size=8)
FILTERS = [Filter(), Filter(search="1"), Filter(provider="openai")]


Usage = list[tuple[Counter | None, Counter | None]]


def limits_of(usage: Usage) -> dict[str, tuple[Limit, Counters]]:
    made = {}
    for number, pair in enumerate(usage):
        rules = rule(f"{number} a"), rule(f"{number} b", max_limit=7)
        provider = "openai" if number % 2 else None
        made[f"{number}"] = limit(f"{number}", *rules, model_name=f"model {number}", provider=provider), pair
    return made


def snapshot_of(usage: Usage) -> Snapshot:
    return snapshots.first(State(limits_of(usage)).whole())


def ranked(snapshot: Snapshot, wanted: Filter, now: int) -> list[str]:
    def place(entry: LimitState) -> tuple[int, str]:
        return usage_share(entry, now), entry.limit.id

    passing = [entry for entry in snapshot.entries.values() if wanted.passes(entry.limit)]
    return [entry.limit.id for entry in sorted(passing, key=place)]


def pages(rankings: Rankings, snapshot: Snapshot, wanted: Filter, now: int) -> list[str]:
    """Return the pages of two limits, read from both ends. Both must give the same order."""
    up, down = [], []
    for offset in range(0, len(snapshot.entries) + 1, 2):
        up += rankings.page(snapshot, wanted, now, Page(2, offset), descending=False).ids
        down += rankings.page(snapshot, wanted, now, Page(2, offset), descending=True).ids
    assert up == down[::-1]
    return up


@settings(deadline=None)
@given(usage=usages, hours=st.lists(st.tuples(st.integers(-3, 7), st.sampled_from(FILTERS)), max_size=12))
def test_at_every_instant_the_ranking_is_what_sorting_would_give(usage, hours):
    rankings, snapshot = Rankings(), snapshot_of(usage)
    for hour, wanted in hours:
        now = NOON + hour * HOUR
        assert pages(rankings, snapshot, wanted, now) == ranked(snapshot, wanted, now)


@settings(deadline=None)
@given(states=st.lists(st.tuples(usages, st.integers(-3, 7), st.sampled_from(FILTERS)), max_size=6))
def test_what_moves_from_one_snapshot_to_the_next_is_put_in_its_place(states):
    rankings, state, snapshot = Rankings(), State({}), snapshots.first(State({}).whole())
    for revision, (usage, hour, wanted) in enumerate(states, 2):
        after = State(limits_of(usage))
        snapshot, state = snapshots.moved(snapshot, after.since(state, revision)), after
        now = NOON + hour * HOUR
        found = rankings.page(snapshot, wanted, now, Page(), descending=False)
        assert found.ids == ranked(snapshot, wanted, now)
        assert found.total == len(found.ids)
        for instant in (found.valid_from, found.valid_until - 1):
            assert abs(instant) > 2**60 or ranked(snapshot, wanted, instant) == found.ids


def test_of_many_limits_only_those_that_moved_are_looked_at(monkeypatch):
    asked = []
    monkeypatch.setattr(usage_rankings, "usage_share", lambda entry, now: asked.append(1) or usage_share(entry, now))
    monkeypatch.setattr(usage_rankings, "SLICE", 7)
    many = [(Counter(NOON, NOON + (1 + number % 5) * HOUR, 1 + number % 7, 0), None) for number in range(400)]
    before, rankings = State(limits_of(many)), Rankings()
    first = snapshots.first(before.whole())
    assert pages(rankings, first, Filter(), NOON) == ranked(first, Filter(), NOON)
    assert len(asked) == 400
    after = State(limits_of([(Counter(NOON, NOON + DAY, 9, 0), None), *many[1:]]))
    second = snapshots.moved(first, after.since(before, 2))
    assert pages(rankings, second, Filter(), NOON) == ranked(second, Filter(), NOON)
    assert len(asked) == 401
    assert pages(rankings, second, Filter(), NOON + HOUR) == ranked(second, Filter(), NOON + HOUR)
    assert len(asked) > 401


def test_a_limit_that_comes_or_goes_has_no_other_looked_at(monkeypatch):
    asked = []
    monkeypatch.setattr(usage_rankings, "usage_share", lambda entry, now: asked.append(1) or usage_share(entry, now))
    many: Usage = [(Counter(NOON, NOON + DAY, number % 7, 0), None) for number in range(400)]
    before, rankings = State(limits_of(many)), Rankings()
    snapshot = snapshots.first(before.whole())
    pages(rankings, snapshot, Filter(provider="openai"), NOON)
    for revision, usage in enumerate((many[:397], [*many, *many[:3]]), 2):
        asked.clear()
        after = State(limits_of(usage))
        snapshot, before = snapshots.moved(snapshot, after.since(before, revision)), after
        wanted = Filter(provider="openai")
        assert pages(rankings, snapshot, wanted, NOON) == ranked(snapshot, wanted, NOON)
        assert len(asked) <= 6
