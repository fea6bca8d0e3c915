"""A snapshot after changes equals a snapshot of the final state, and shares all unchanged parts."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.keys import ApiKey, VirtualKey
from governance.domain.limits.limit import Counter, Counters, Limit
from governance.domain.records.list_query import Filter
from governance.domain.times import DAY
from governance.snapshot import snapshot as snapshots
from governance.snapshot.orders import KEYS
from governance.snapshot.snapshot import Snapshot
from tests.snapshot.states import State, facts
from tests.storage.stored import NOON, limit, rule

PROVIDERS = (None, "openai", "azure")
SCOPES = (("global", None), ("user", "ann"), ("user", "bob"), ("virtual_key", "key"))
NAMES = ("GPT", "gpt-4o", "Claude", "ÉCLAIR")
FILTERS = [
    Filter(),
    Filter(scope="user"),
    Filter(scope="user", scope_id="ann"),
    Filter(provider="openai"),
    Filter(search="gpt"),
    Filter(scope="virtual_key", search="é"),
    Filter(scope="global", provider="azure", search="l"),
]


@st.composite
def limits(draw: st.DrawFn) -> Any:
    """Return limits.

    The id decides a limit's identity (docs/contract.md §4) and its creation, but not its rules and counters.
    """
    number = draw(st.integers(0, 7))
    scope, scope_id = SCOPES[number % 4]
    rules = [rule(f"{number} {index}", metric) for index, metric in enumerate(("cost", "tokens", "requests"))]
    made = limit(
        f"{number}",
        *rules[: draw(st.integers(0, 3))],
        model_name=NAMES[number % 3] + "x" * (number // 4),
        provider=PROVIDERS[number % 3],
        scope=scope,
        scope_id=scope_id,
        created_at=NOON + number // 3,
        version=draw(st.integers(1, 3)),
    )
    counted = tuple(draw(st.sampled_from([None, counter(0), counter(5)])) for _ in made.rules)
    return made, counted


def counter(used: int) -> Counter:
    return Counter(NOON, NOON + DAY, used, 1)


def api_key(number: str, name: str) -> ApiKey:
    return ApiKey(number, name, "gov", f"digest {number}", ("read",), None, None, 1)


def virtual_key(number: str, digest: int, active: bool) -> VirtualKey:
    return VirtualKey(number, number, None, f"{number} {digest}", "", active, False, None, 1, 1)


api_keys = st.builds(api_key, st.sampled_from("abc"), st.sampled_from(["one", "two"]))
virtual_keys = st.builds(virtual_key, st.sampled_from(["key", "other"]), st.integers(0, 1), st.booleans())
scopes = st.sampled_from([("user", "ann"), ("user", "bob"), ("virtual_key", "key"), ("user", "nobody")])
states = st.builds(
    State,
    st.lists(limits(), max_size=8).map(lambda found: {one.id: (one, counters) for one, counters in found}),
    st.dictionaries(scopes, st.sampled_from(["Ann", "Bob"])),
    st.lists(api_keys).map(lambda found: {key.id: key for key in found}),
    st.lists(virtual_keys).map(lambda found: {key.id: key for key in found}),
)
touched = st.lists(st.integers(0, 7).map(str), max_size=3).map(tuple)


def follow(steps: list[tuple[State, tuple[str, ...]]], asked: list[Filter]) -> Snapshot:
    """Return the snapshot after a first load and a poll for each further state.

    Between the polls, the orders of the filters are requested.
    """
    before, _ = steps[0]
    snapshot = snapshots.first(before.whole())
    for revision, (state, ids) in enumerate(steps[1:], 2):
        for wanted in asked:
            snapshot.orders.ids(wanted, "model_name")
            snapshot.orders.ids(wanted, "created_at")
        snapshot = snapshots.moved(snapshot, state.since(before, revision, ids))
        before = state
    return snapshot


steps = st.lists(st.tuples(states, touched), min_size=1, max_size=5)


@settings(deadline=None)
@given(steps=steps)
def test_a_snapshot_that_followed_the_changes_equals_a_first_one_of_the_final_state(steps):
    final, _ = steps[-1]
    assert facts(follow(steps, FILTERS[:3])) == facts(snapshots.first(final.whole(len(steps))))


@settings(deadline=None)
@given(steps=steps, wanted=st.sampled_from(FILTERS), sort_by=st.sampled_from(sorted(KEYS)))
def test_every_order_is_what_sorting_what_passes_would_give(steps, wanted, sort_by):
    snapshot = follow(steps, FILTERS)
    passing = [entry.limit for entry in snapshot.entries.values() if wanted.passes(entry.limit)]
    expected = [found.id for found in sorted(passing, key=KEYS[sort_by])]
    assert snapshot.orders.ids(wanted, sort_by) == expected
    assert snapshot.orders.ids(wanted, sort_by) == expected


@settings(deadline=None)
@given(steps=steps)
def test_a_snapshot_is_never_changed_by_what_comes_after_it(steps):
    first, _ = steps[0]
    snapshot = snapshots.first(first.whole())
    before = {key: dict(value) if isinstance(value, dict) else value for key, value in facts(snapshot).items()}
    orders = {name: list(ids) for name, ids in before["orders"].items()}
    for revision, (state, _) in enumerate(steps, 2):
        snapshots.moved(snapshot, state.since(first, revision))
    assert facts(snapshot) == before | {"orders": orders}


def test_an_id_that_comes_back_as_another_limit_stands_at_its_new_place():
    old = {"a": (limit("a", created_at=1), ()), "b": (limit("b", created_at=2), ())}
    new = old | {"a": (limit("a", created_at=3, model_name="z", provider="openai"), ())}
    before = snapshots.first(State(old).whole())
    wanted = Filter(provider="openai")
    assert before.orders.ids(wanted, "created_at") == []
    after = snapshots.moved(before, State(new).since(State(old), 2))
    assert after.orders.ids(Filter(), "created_at") == ["b", "a"]
    assert after.orders.ids(wanted, "created_at") == ["a"]
    assert facts(after) == facts(snapshots.first(State(new).whole(2)))


def test_a_limit_that_is_given_another_provider_in_place_leaves_the_lists_of_its_old_one():
    old, new = State({"a": (limit("a"), ())}), State({"a": (limit("a", provider="openai"), ())})
    before = snapshots.first(old.whole())
    wanted = Filter(provider="openai")
    assert before.orders.ids(wanted, "created_at") == []
    after = snapshots.moved(before, new.since(old, 2))
    # The API cannot change a limit in this way. A synced file that keeps an id can (docs/contract.md §7).
    assert after.orders.ids(wanted, "created_at") == ["a"]
    assert after.identities == snapshots.first(new.whole()).identities


def counted(*used: int) -> State:
    """Return limits named a, b, c … each with one counter."""
    pairs = zip("abcdefgh", used, strict=False)
    return State({name: (limit(name, rule(name)), (counter(amount),)) for name, amount in pairs})


def copied(state: State) -> State:
    """Return the same state in other objects, as a database would load it again."""

    def anew(found: Limit, counters: Counters) -> tuple[Limit, Counters]:
        return found._replace(), tuple(one and one._replace() for one in counters)

    return State({key: anew(*pair) for key, pair in state.limits.items()})


def test_a_poll_that_finds_nothing_new_shares_everything():
    state = counted(1, 2, 3)
    before = snapshots.first(state.whole())
    after = snapshots.moved(before, copied(state).since(copied(state), 2, ("a", "b", "c")))
    assert after.mark.revision == 2
    shared = [name for name in Snapshot._fields if getattr(after, name) is getattr(before, name)]
    assert shared == [name for name in Snapshot._fields if name != "mark"]


def test_usage_replaces_the_entry_that_was_used_and_shares_its_limit_and_all_other_entries():
    before = snapshots.first(counted(1, 2, 3).whole())
    after = snapshots.moved(before, copied(counted(1, 9, 3)).since(counted(1, 2, 3), 1))
    assert after.entries["b"] is not before.entries["b"]
    assert after.entries["b"].limit is before.entries["b"].limit
    assert after.entries["b"].counters[0].used == 9
    for name in "ac":
        assert after.entries[name] is before.entries[name]
    assert after.names is before.names
    assert after.digests is before.digests
    assert after.orders.ids(Filter(), "id") is before.orders.ids(Filter(), "id")


def test_a_new_name_of_a_scope_replaces_the_entries_of_that_scope_alone():
    bound = {name: (limit(name, scope="user", scope_id=name), ()) for name in ("ann", "bob")}
    old, new = State(bound, {("user", "ann"): "Ann"}), State(bound, {("user", "ann"): "Anna"})
    before = snapshots.first(old.whole())
    after = snapshots.moved(before, new.since(old, 2))
    assert after.entries["ann"].scope_name == "Anna"
    assert after.entries["ann"].limit is before.entries["ann"].limit
    assert after.entries["bob"] is before.entries["bob"]
    assert snapshots.moved(after, State(bound).since(new, 3)).entries["ann"].scope_name is None


def test_filtered_orders_are_kept_for_the_next_snapshot_where_no_limit_came_or_went():
    before = snapshots.first(counted(1, 2).whole())
    kept = before.orders.ids(Filter(search="a"), "id")
    after = snapshots.moved(before, counted(1, 3).since(counted(1, 2), 1))
    assert after.orders.ids(Filter(search="a"), "id") is kept
