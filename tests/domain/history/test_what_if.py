"""What a limit would have done: the replay of calls, the bounds from buckets, and that they agree."""

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.history.bucket_bounds import bounds
from governance.domain.history.query import Group
from governance.domain.history.refused_groups import MOST_REFUSED, PossiblyRefused, bounded_group
from governance.domain.history.replay import Replay
from governance.domain.history.usage import BUCKET, bucket_of
from governance.domain.history.what_if import Bounds, BucketSum, RefusedCalls, StoredCall
from governance.domain.limits.limit import Limit, Rule
from governance.domain.metering.request import Call
from governance.domain.times import DAY, MINUTE, SECOND, parse_rfc3339

SINCE = parse_rfc3339("2026-11-23T12:00:00Z")


def limit(*rules, model="*"):
    made = tuple(
        Rule(f"r{number}", metric, most, duration, SINCE, 0, None, SINCE, SINCE)
        for number, (metric, most, duration) in enumerate(rules)
    )
    return Limit("l", model, None, "global", None, False, "UTC", None, SINCE, SINCE, 1, model, made)


def call(seconds, *, cost=0, tokens=0, held=None, requests=1, lasts=0, report=False, model="m", is_open=False):
    """A call that was admitted some seconds after the start and used what it held, if nothing else is given."""
    at = SINCE + int(seconds * SECOND)
    held = cost if held is None else held
    ended = None if is_open else at + int(lasts * SECOND)
    return StoredCall(at, at, Call(model), report, requests, tokens, held, tokens, cost, ended)


def replayed(limit, *calls):
    replay = Replay(limit)
    for each in calls:
        replay.add(each)
    return replay.result()


def test_calls_beyond_the_maximum_are_refused_and_use_nothing():
    found = replayed(limit(("cost", 10, "1d")), call(0, cost=6), call(60, cost=5), call(120, cost=4), call(180, cost=1))
    assert (found.calls, found.cost, found.refused, found.spent) == (4, 16, Bounds(2, 2), Bounds(10, 10))
    assert found.earliest == found.latest == SINCE + MINUTE


def test_a_new_window_lets_calls_pass_again():
    found = replayed(limit(("requests", 1, "1h")), *[call(minutes * 60) for minutes in (0, 30, 60, 90, 120)])
    assert found.refused == Bounds(2, 2)


def test_a_hold_counts_until_its_end_and_then_what_was_used():
    one = call(0, cost=1, held=10, lasts=100)
    assert replayed(limit(("cost", 10, "1d")), one, call(99, cost=1)).refused.most == 1
    assert replayed(limit(("cost", 10, "1d")), one, call(100, cost=9)).refused.most == 0
    assert replayed(limit(("cost", 10, "1d")), one, call(100, cost=10)).refused.most == 1
    still_open = call(0, cost=0, held=10, is_open=True)
    assert replayed(limit(("cost", 10, "1d")), still_open, call(9999, cost=1)).refused.most == 1


def test_an_amount_left_out_passes_while_anything_is_left_and_may_overrun():
    calls = [call(number, cost=6, held=0) for number in range(4)]
    found = replayed(limit(("cost", 10, "1d")), *calls)
    assert (found.refused, found.spent) == (Bounds(2, 2), Bounds(12, 12))


def test_a_report_asks_for_what_it_used_and_for_all_its_calls():
    found = replayed(limit(("requests", 5, "1d")), call(0, requests=3, report=True), call(1, requests=3, report=True))
    assert (found.calls, found.refused) == (6, Bounds(3, 3))


def test_one_rule_without_room_refuses_for_all():
    two = limit(("cost", 10, "1d"), ("tokens", 100, "1d"))
    found = replayed(two, call(0, cost=1, tokens=99), call(1, cost=1, tokens=2), call(2, cost=9, tokens=1))
    assert (found.refused, found.spent, found.spent_tokens) == (Bounds(1, 1), Bounds(10, 10), Bounds(100, 100))


def test_calls_that_the_limit_does_not_apply_to_are_left_out():
    found = replayed(
        limit(("cost", 1, "1d"), model="gpt-4o"), call(0, cost=9, model="o3"), call(1, cost=1, model="GPT-4o")
    )
    assert (found.calls, found.cost, found.refused) == (1, 1, Bounds(0, 0))


def test_refused_calls_are_counted_by_whose_they_are():
    two = [call(0, cost=6), call(1, cost=6, model="o3"), call(2, cost=6, model="O3"), call(3, cost=1, model="o3")]
    found = replayed(limit(("cost", 10, "1d")), *two)
    (model,) = found.refused_by[Group.MODEL].top
    assert model == RefusedCalls("o3", 3, Bounds(2, 2))
    (key,) = found.refused_by[Group.VIRTUAL_KEY].top
    assert key == RefusedCalls("", 4, Bounds(2, 2))


def test_the_most_refused_come_first_and_the_list_is_bounded():
    none = limit(("cost", 1, "1d"))
    calls = [call(0, cost=2, model=f"m{number:02}") for number in range(30) for _ in range(1 + number % 3)]
    models = replayed(none, *calls).refused_by[Group.MODEL]
    assert [(row.value, row.calls) for row in models.top[:2]] == [("m02", 3), ("m05", 3)]
    assert (len(models.top), models.others, models.others_refused) == (MOST_REFUSED, 10, Bounds(10, 10))


def bucket(number, requests, cost=0, tokens=0):
    return BucketSum(SINCE + number * BUCKET, requests, tokens, cost)


def test_buckets_within_the_maximum_refuse_nothing():
    found, _ = bounds(limit(("cost", 10, "1h")), [bucket(0, 3, 6), bucket(1, 2, 4), bucket(4, 1, 9)])
    assert (found.calls, found.refused, found.spent) == (6, Bounds(0, 0), Bounds(19, 19))
    assert (found.earliest, found.latest) == (None, None)


def test_buckets_beyond_it_give_bounds():
    found, _ = bounds(limit(("cost", 10, "1d")), [bucket(0, 3, 6), bucket(1, 5, 8), bucket(3, 4, 2)])
    assert (found.refused, found.spent) == (Bounds(1, 9), Bounds(6, 10))
    assert (found.earliest, found.latest) == (SINCE + BUCKET, SINCE + 2 * BUCKET)
    assert bounds(limit(("requests", 10, "1d")), [bucket(0, 12), bucket(1, 1)])[0].refused == Bounds(3, 13)
    assert bounds(limit(("cost", 10, "1d")), [bucket(0, 9, 25), bucket(1, 1, 20)])[0].refused.least == 2


def test_a_bucket_in_two_windows_is_certain_in_none():
    rule = limit(("cost", 5, "20m"))
    found, _ = bounds(rule, [bucket(1, 2, 6)])
    assert (found.refused, found.earliest, found.latest) == (Bounds(0, 2), SINCE + BUCKET, None)


calls = st.lists(
    st.builds(
        lambda minutes, cost, tokens, requests, model: call(
            minutes * 60, cost=cost, tokens=tokens, requests=requests, report=True, model=model
        ),
        st.integers(0, 240),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(1, 3),
        st.sampled_from(["m", "n", "o"]),
    ),
    max_size=60,
)
rules = st.lists(
    st.tuples(
        st.sampled_from(["cost", "tokens", "requests"]),
        st.integers(1, 60),
        st.sampled_from(["15m", "20m", "37m", "1h", "1d"]),
    ),
    min_size=1,
    max_size=3,
)


@given(calls=calls, rules=rules)
def test_the_bounds_hold_for_any_calls_that_asked_for_what_they_used(calls, rules):
    own = limit(*rules)
    exact = replayed(own, *sorted(calls, key=lambda each: each.admitted_at))
    sums = defaultdict(lambda: (0, 0, 0))
    for each in calls:
        start = bucket_of(each.admitted_at)
        more = each.requests, each.used_tokens, each.used_cost
        sums[start] = tuple(map(sum, zip(sums[start], more, strict=True)))
    found, refusing = bounds(own, [BucketSum(start, *sums[start]) for start in sorted(sums)])
    assert (found.calls, found.cost, found.tokens) == (exact.calls, exact.cost, exact.tokens)
    for one, other in (
        (found.refused, exact.refused),
        (found.spent, exact.spent),
        (found.spent_tokens, exact.spent_tokens),
    ):
        assert one.least <= other.least <= one.most
    possible = Counter()
    for each in calls:
        possible[each.call.model] += each.requests if bucket_of(each.admitted_at) in refusing else 0
    refused = {row.value: row.refused.most for row in exact.refused_by[Group.MODEL].top}
    first, *rest = sorted(possible.items()) or [("m", 0)]
    models = bounded_group(found.refused, [PossiblyRefused(first[0], 0, first[1])], len(possible))
    (top,) = models.top
    assert top.refused.least <= refused.get(first[0], 0) <= top.refused.most
    others = sum(refused.get(model, 0) for model, _ in rest)
    assert models.others_refused.least <= others <= models.others_refused.most
    if exact.earliest is not None:
        assert found.earliest <= exact.earliest < (found.latest or exact.earliest + DAY)
    if found.latest is not None:
        assert exact.earliest is not None
