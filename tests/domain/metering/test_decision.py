"""Pure tests of decisions (docs/contract.md §6): room, the name of a denial, the order, and when to retry."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.limits.durations import parse
from governance.domain.limits.limit import Counter, Limit, Metric, Rule
from governance.domain.metering.decision import (
    Decision,
    MatchedRule,
    RuleStatus,
    decide,
    in_order,
)
from governance.domain.metering.request import Call, RequestedAmounts
from governance.domain.metering.reservation import Amounts
from governance.domain.times import SECOND

often = settings(deadline=None, max_examples=150)
NOW = 1_000_000 * SECOND
amounts = st.integers(0, 12)


def rule(metric, most=10, duration="1h", rule_id="r"):
    return Rule(rule_id, metric, most, duration, 0, 0, None, 0, 0)


LIMIT = Limit("limit", "m", None, "global", None, False, "UTC", None, 0, 0, 1, "m", ())


def status(metric=Metric.REQUESTS, *, most=10, used=0, reserved=0, asked=1, end=NOW + 60 * SECOND, **place):
    rank = place.pop("rank", (2, 1))
    matched = MatchedRule(rule(metric, most, **place), LIMIT, None, rank)
    return RuleStatus(matched, Counter(NOW, end, used, reserved), asked or 0, asked is None)


def decided(found):
    return Decision(Call("m"), NOW, found, [state for state in found if not state.has_room])


@given(amounts, amounts, st.none() | amounts, st.integers(1, 12))
@often
def test_an_amount_must_fit_one_left_out_needs_some_rest_and_a_zero_needs_none(used, reserved, asked, most):
    state = status(most=most, used=used, reserved=reserved, asked=asked)
    left = most - used - reserved
    assert state.has_room == ((asked == 0) or (left > 0 if asked is None else asked <= left))
    assert state.remaining == max(0, left)
    assert state.exceeds_limit == (asked is not None and asked > most)


@given(amounts, amounts, st.integers(1, 12))
@often
def test_what_has_room_is_at_most_full_after_it_has_held(reserved, asked, most):
    state = status(most=most, reserved=reserved, asked=asked)
    if state.has_room and asked:
        assert reserved + asked <= most


states = st.builds(
    lambda metric, used, asked, duration, rule_id, rank, end: status(
        metric, used=used, asked=asked, duration=duration, rule_id=rule_id, rank=rank, end=NOW + end
    ),
    st.sampled_from(Metric),
    amounts,
    amounts,
    st.sampled_from(["1m", "60s", "1h", "1d", "1M"]),
    st.sampled_from("abc"),
    st.tuples(st.integers(0, 2), st.integers(0, 3)),
    st.integers(-5 * SECOND, 100 * SECOND),
)


wishes = st.builds(RequestedAmounts, st.none() | amounts, st.none() | amounts, st.integers(0, 12))


@given(st.lists(states, max_size=8), wishes)
@often
def test_a_call_passes_where_all_have_room_and_otherwise_all_without_are_named(found, wish):
    statuses, violations = decide([state.matched for state in found], [state.window for state in found], wish)
    asked = [getattr(wish, state.matched.rule.metric) for state in found]
    assert statuses == [
        state._replace(requested=amount or 0, left_out=amount is None)
        for state, amount in zip(found, asked, strict=True)
    ]
    assert violations == [state for state in statuses if not state.has_room]
    decision = Decision(Call("m"), NOW, statuses, violations)
    assert decision.allowed == all(state.has_room for state in statuses)


def order(matched):
    """Return the sort key: the most specific rule first, then kind, window length and id."""
    kind = "budget" if matched.rule.metric == Metric.COST else "rate_limit"
    return matched.rank, kind, parse(matched.rule.reset_duration).length, matched.rule.id


@given(st.lists(states, max_size=8), st.randoms())
@often
def test_the_order_is_scope_tier_kind_length_and_id_whatever_came_first(found, chance):
    mixed = [state.matched for state in found]
    chance.shuffle(mixed)
    assert [order(matched) for matched in in_order(mixed)] == sorted(order(state.matched) for state in found)


WORDS = [
    ({Metric.COST}, "budget_exceeded"),
    ({Metric.TOKENS}, "token_limited"),
    ({Metric.REQUESTS}, "request_limited"),
    ({Metric.TOKENS, Metric.REQUESTS}, "rate_limited"),
    ({Metric.COST, Metric.TOKENS}, "budget_exceeded"),
    ({Metric.COST, Metric.REQUESTS}, "budget_exceeded"),
    ({Metric.COST, Metric.TOKENS, Metric.REQUESTS}, "budget_exceeded"),
]


@pytest.mark.parametrize(("metrics", "word"), WORDS)
def test_a_denial_is_called_by_the_metrics_without_room(metrics, word):
    found = [status(metric, used=10 if metric in metrics else 0, rule_id=metric) for metric in Metric]
    assert decided(found).word == word


@given(st.lists(states, min_size=1, max_size=8))
@often
def test_retry_after_reaches_the_latest_end_among_the_violated_and_only_just(found):
    decision = decided(found)
    if decision.allowed:
        return
    if any(state.requested > state.matched.rule.max_limit for state in decision.violations):
        assert (decision.retry_at, decision.retry_after) == (None, None)
        return
    seconds = decision.retry_after
    latest = max(state.window.end for state in decision.violations)
    assert decision.retry_at == latest
    assert seconds >= 1
    assert NOW + seconds * SECOND >= latest
    assert seconds == 1 or NOW + (seconds - 1) * SECOND < latest


def test_no_rule_at_all_is_no_obstacle():
    decision = Decision(Call("m"), NOW, *decide([], [], RequestedAmounts(cost=5)))
    assert (decision.allowed, list(decision.statuses), list(decision.violations)) == (True, [], [])


def test_each_metric_counts_its_own_amount():
    asked = Amounts(cost=5, tokens=7, requests=2)
    assert [asked.of(metric) for metric in (Metric.COST, Metric.TOKENS, Metric.REQUESTS)] == [5, 7, 2]
    assert Amounts() == Amounts(0, 0, 1)


def test_each_rule_is_asked_for_the_amount_of_its_metric_and_knows_whether_it_was_left_out():
    rules = [status(metric).matched for metric in (Metric.COST, Metric.TOKENS, Metric.REQUESTS)]
    windows = [Counter(NOW, NOW + SECOND, 0, 0)] * 3
    asked = [state[2:] for state in decide(rules, windows, RequestedAmounts(cost=None, tokens=0))[0]]
    assert asked == [(0, True), (0, False), (1, False)]
    asked = [state[2:] for state in decide(rules, windows, RequestedAmounts(cost=5, requests=2))[0]]
    assert asked == [(5, False), (0, True), (2, False)]


@pytest.mark.parametrize(("metric", "kind"), [("cost", "budget"), ("tokens", "rate_limit"), ("requests", "rate_limit")])
def test_a_rule_on_cost_is_a_budget_and_the_others_are_rate_limits(metric, kind):
    assert status(metric).matched.kind == kind
