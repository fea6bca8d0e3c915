"""The current counter, even after the clock stepped back, and the used share of a limit."""

from fractions import Fraction

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from governance.domain.limits.limit import SHARE, Counter, Limit, LimitState, Metric, Rule, Scope, current, usage_share
from governance.domain.limits.windows import Alignment, window
from governance.domain.times import DAY, HOUR, parse_rfc3339

NOON = parse_rfc3339("2026-11-23T12:00:00Z")
BERLIN = Alignment(calendar=True, zone="Europe/Berlin")

instants = st.integers(NOON - 800 * DAY, NOON + 800 * DAY)
alignments = st.sampled_from([BERLIN, Alignment(calendar=True, zone="UTC"), Alignment(calendar=False, zone="UTC")])
texts = st.sampled_from(["1m", "24h", "1d", "1w", "1M", "3M", "1Y"])
often = settings(deadline=None, max_examples=150)


def rule(text="1d", anchor=NOON, max_limit=100, metric=Metric.COST):
    return Rule("r", metric, max_limit, text, anchor, 0, None, anchor, anchor)


def limit(*rules):
    return Limit("l", "gpt-4o", None, Scope.GLOBAL, None, False, "UTC", None, NOON, NOON, 1, "gpt-4o", rules)


def share(*used_of, end=NOON + 1):
    """Return the share of a limit with these pairs of usage and maximum, in windows that end at `end`.

    None is no counter.
    """
    counters = tuple(None if used is None else Counter(NOON - HOUR, end, used, reserved=9) for used, _ in used_of)
    return usage_share(LimitState(limit(*(rule(max_limit=most) for _, most in used_of)), counters, None), NOON)


@given(texts, alignments, instants, instants)
@often
def test_a_rule_without_a_counter_has_used_nothing_in_the_window_of_now(text, alignment, anchor, now):
    expected = window(rule(text).duration, alignment, anchor, now)
    assert current(rule(text, anchor), alignment, None, now) == (*expected, 0, 0)


@given(texts, alignments, instants, instants, instants)
@example("1d", BERLIN, NOON, NOON, NOON - 3 * DAY)
@often
def test_the_later_of_the_window_of_now_and_the_newest_counted_one_is_current(text, alignment, anchor, counted, now):
    newest = Counter(*window(rule(text).duration, alignment, anchor, counted), 7, 3)
    fresh = Counter(*window(rule(text).duration, alignment, anchor, now), 0, 0)
    found = current(rule(text, anchor), alignment, newest, now)
    assert found == (newest if newest.start >= fresh.start else fresh)


@given(texts, alignments, instants, st.lists(instants, min_size=2, max_size=8))
@often
def test_current_windows_never_go_back_however_the_clock_steps(text, alignment, anchor, clock):
    counter, starts = None, []
    for now in clock:
        counter = current(rule(text, anchor), alignment, counter, now)
        starts.append(counter.start)
    assert starts == sorted(starts)


def test_a_counter_is_current_until_the_last_microsecond_of_its_window():
    counter = Counter(NOON, NOON + DAY, 40, 2)
    assert current(rule(), Alignment(False, "UTC"), counter, NOON + DAY - 1) == counter
    assert current(rule(), Alignment(False, "UTC"), counter, NOON + DAY) == (NOON + DAY, NOON + 2 * DAY, 0, 0)


def test_a_clock_set_back_does_not_reopen_the_window_before():
    today = Counter(NOON, NOON + DAY, 40, 2)
    assert current(rule(), Alignment(False, "UTC"), today, NOON - 1) == today
    assert current(rule(), Alignment(False, "UTC"), today, NOON - 30 * DAY) == today


@given(st.lists(st.tuples(st.none() | st.integers(0, 10**20), st.integers(1, 10**18)), max_size=6))
@often
def test_the_share_of_a_limit_is_the_highest_used_share_of_its_rules_whatever_is_reserved(used_of):
    exact = max((Fraction(used, most) for used, most in used_of if used is not None), default=Fraction(0))
    assert share(*used_of) == int(exact * SHARE)


@given(*[st.integers(0, 10**9), st.integers(1, 10**9)] * 2)
@often
def test_shares_are_ordered_as_the_fractions_are(used, most, other_used, other_most):
    assume(used * other_most < other_used * most)
    assert share((used, most)) < share((other_used, other_most))


def test_a_limit_without_rules_or_with_only_windows_that_ended_has_used_nothing():
    assert share() == 0
    assert share((None, 100)) == 0
    assert share((99, 100), end=NOON) == 0
    assert share((99, 100), end=NOON + 1) > 0
