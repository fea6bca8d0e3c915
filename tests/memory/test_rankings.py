"""Limits by how much of them is used: at every instant what sorting them would give, made no more often than needed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.limits import Counter, Scoped, usage_share
from governance.domain.pages import Filter
from governance.domain.times import DAY, HOUR
from governance.memory import snapshot as snapshots
from governance.memory.rankings import Rankings
from governance.memory.snapshot import Snapshot
from tests.memory.states import State
from tests.storage.stored import NOON, limit, rule

counters = st.builds(
    lambda end, used: Counter(NOON - DAY, NOON + end * HOUR, used, 0), st.integers(1, 5), st.integers(0, 9)
)
usages = st.lists(st.tuples(st.none() | counters, st.none() | counters), max_size=8)
FILTERS = [Filter(), Filter(search="1"), Filter(provider="openai")]


def snapshot_of(usage: list[tuple[Counter | None, Counter | None]]) -> Snapshot:
    made = {}
    for number, pair in enumerate(usage):
        rules = rule(f"{number} a"), rule(f"{number} b", max_limit=7)
        provider = "openai" if number % 2 else None
        made[f"{number}"] = limit(f"{number}", *rules, model_name=f"model {number}", provider=provider), pair
    return snapshots.first(State(made).whole())


def ranked(snapshot: Snapshot, wanted: Filter, now: int) -> list[str]:
    def place(entry: Scoped) -> tuple[int, str]:
        return usage_share(entry, now), entry.limit.id

    passing = [entry for entry in snapshot.entries.values() if wanted.passes(entry.limit)]
    return [entry.limit.id for entry in sorted(passing, key=place)]


@settings(deadline=None)
@given(usage=usages, hours=st.lists(st.tuples(st.integers(-3, 7), st.sampled_from(FILTERS)), max_size=12))
def test_at_every_instant_the_ranking_is_what_sorting_would_give(usage, hours):
    rankings, snapshot = Rankings(), snapshot_of(usage)
    for hour, wanted in hours:
        now = NOON + hour * HOUR
        assert rankings.of(snapshot, wanted, now).ids == ranked(snapshot, wanted, now)


@settings(deadline=None)
@given(before=usages, after=usages)
def test_another_snapshot_is_ranked_anew(before, after):
    rankings = Rankings()
    for snapshot in (snapshot_of(before), snapshot_of(after)):
        assert rankings.of(snapshot, Filter(), NOON).ids == ranked(snapshot, Filter(), NOON)


def test_a_ranking_is_made_once_until_a_used_window_ends():
    rankings = Rankings()
    snapshot = snapshot_of([(Counter(NOON, NOON + HOUR, 5, 0), None), (None, None)])
    kept = rankings.of(snapshot, Filter(), NOON)
    assert kept.ids == ["1", "0"]
    assert rankings.of(snapshot, Filter(), NOON + HOUR - 1) is kept
    assert rankings.of(snapshot, Filter(), NOON + HOUR).ids == ["0", "1"]
    assert rankings.of(snapshot, Filter(), NOON).ids == ["1", "0"]
