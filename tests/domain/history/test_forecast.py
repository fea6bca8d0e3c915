"""The forecast of a rule: when it runs out, and what its window will have used."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.history.forecast import LEAST_PASSED, Outlook, a_day, forecast
from governance.domain.history.windows import CountedWindow
from governance.domain.limits.limit import Counter, Rule
from governance.domain.times import DAY, HOUR

RULE = Rule("r", "tokens", 1000, "1d", 0, 0, None, 0, 0)


def past(*used):
    return [
        CountedWindow("r", "tokens", -day * DAY, (1 - day) * DAY, amount, 0, 1000) for day, amount in enumerate(used)
    ]


def seen(used, hours, *before):
    return forecast(RULE, Counter(0, DAY, used, 0), past(*before), int(hours * HOUR))


def test_without_past_windows_the_pace_goes_on():
    found = seen(300, 6)
    assert (found.outlook, found.at_reset, found.runs_out_at) == (Outlook.RUNS_OUT, 1200, 20 * HOUR)
    assert (found.passed, a_day(found.pace.this_window), found.pace.past_windows) == (Fraction(1, 4), 1200, None)


def test_early_in_a_window_the_past_counts_more():
    found = seen(300, 6, 400, 200)
    assert [a_day(pace) for pace in found.pace] == [1200, 300, 525]
    assert (found.outlook, found.at_reset, found.runs_out_at) == (Outlook.LASTS, 300 + -(-525 * 18 // 24), None)


def test_late_in_a_window_the_window_counts_more():
    early, late = seen(300, 6, 0, 0), seen(900, 18, 0, 0)
    assert (early.at_reset, late.at_reset) == (525, 1125)
    assert (early.outlook, late.outlook) == (Outlook.LASTS, Outlook.RUNS_OUT)


def test_it_is_too_early_before_a_twentieth_has_passed_and_used_up_at_the_limit():
    early = seen(999, 1)
    assert (early.outlook, early.pace, early.at_reset, early.runs_out_at) == (Outlook.TOO_EARLY, None, None, None)
    assert seen(999, 1.2).outlook == Outlook.RUNS_OUT
    assert seen(1000, 1).outlook == Outlook.USED_UP
    assert (seen(1000, 12).outlook, seen(1000, 12).at_reset, seen(1000, 12).runs_out_at) == ("used_up", 2000, None)
    assert seen(0, 12).outlook == Outlook.LASTS


def test_a_clock_before_the_window_is_too_early():
    found = seen(10, -3)
    assert (found.outlook, found.passed) == (Outlook.TOO_EARLY, 0)


@given(
    used=st.integers(0, 2**62),
    now=st.integers(-DAY, DAY - 1),
    before=st.lists(st.integers(0, 2**62), max_size=4),
    most=st.integers(1, 2**53),
)
def test_a_forecast_never_contradicts_itself(used, now, before, most):
    found = forecast(RULE._replace(max_limit=most), Counter(0, DAY, used, 0), past(*before), now)
    assert (found.pace is None) == (found.passed < LEAST_PASSED) == (found.at_reset is None)
    assert (found.runs_out_at is None) == (found.outlook != Outlook.RUNS_OUT)
    assert (found.outlook == Outlook.USED_UP) == (used >= most)
    if found.at_reset is not None:
        assert found.at_reset >= used
        assert (found.outlook == Outlook.LASTS) == (found.at_reset < most)
    if found.runs_out_at is not None:
        assert now < found.runs_out_at <= DAY
