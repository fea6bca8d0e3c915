"""Pure tests of a reservation's steps: the state table of docs/contract.md §6. No sequence of steps charges twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.errors import Code, Conflict
from governance.domain.metering.reservation import (
    Actual,
    Amounts,
    Reservation,
    Status,
    expired,
    extended,
    released,
    settled,
)
from governance.domain.times import SECOND

often = settings(deadline=None, max_examples=150)
NOW = 1_000_000 * SECOND
END = NOW + 60 * SECOND
OPEN = Reservation("id", Status.OPEN, "m", None, None, None, 1, 10, 500, 0, 0, NOW, END, None, late=False)
UP = Actual(20, 900)
HELD = Actual(None, None)
NOTHING = Amounts(0, 0, 0)

amount = st.none() | st.integers(0, 30)
actuals = st.builds(Actual, amount, amount)
instants = st.integers(NOW, NOW + 120 * SECOND)


def fresh(held_tokens, held_cost):
    return OPEN._replace(held_tokens=held_tokens, held_cost=held_cost)


opens = st.builds(fresh, st.integers(0, 30), st.integers(0, 30))


@given(opens, actuals, instants)
@often
def test_a_settle_uses_what_it_says_and_else_what_was_held(before, actual, now):
    after = settled(before, actual, now)
    tokens = before.held_tokens if actual.tokens is None else actual.tokens
    cost = before.held_cost if actual.cost is None else actual.cost
    assert after.used == Amounts(cost, tokens, 1)
    assert after.held == before.held
    assert (after.status, after.settled_at, after.late) == (Status.SETTLED, now, now >= END)


@given(opens, actuals, instants, st.booleans())
@often
def test_a_late_settle_comes_to_the_same_as_one_in_time_whatever_the_policy_had_done(before, actual, now, charge):
    late = settled(expired(before, charge=charge), actual, now)
    assert late.late is True
    assert late == settled(before, actual, now)._replace(late=True)


@given(opens, instants, st.booleans())
@often
def test_a_late_release_comes_to_the_same_as_one_in_time_whatever_the_policy_had_done(before, now, charge):
    late = released(expired(before, charge=charge), now)
    assert late.late is True
    assert late.used == NOTHING
    assert late == released(before, now)._replace(late=True)


@given(opens, actuals, instants, instants)
@often
def test_a_settle_repeated_with_the_same_amounts_or_none_is_the_very_first(before, actual, now, later):
    first = settled(before, actual, now)
    for again in (actual, HELD, Actual(first.used_tokens, None), Actual(None, first.used_cost)):
        assert settled(first, again, later) is first


@given(opens, actuals, actuals, instants)
@often
def test_a_settle_with_other_amounts_is_a_conflict(before, actual, other, now):
    first = settled(before, actual, now)
    if other.tokens in (None, first.used_tokens) and other.cost in (None, first.used_cost):
        return
    with pytest.raises(Conflict) as caught:
        settled(first, other, now)
    assert caught.value.code == Code.ALREADY_SETTLED


SETTLED = settled(OPEN, HELD, NOW)
RELEASED = released(OPEN, NOW)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda: released(SETTLED, NOW), Code.ALREADY_SETTLED),
        (lambda: extended(SETTLED, END, NOW), Code.ALREADY_SETTLED),
        (lambda: settled(RELEASED, HELD, NOW), Code.ALREADY_RELEASED),
        (lambda: settled(RELEASED, UP, NOW), Code.ALREADY_RELEASED),
        (lambda: extended(RELEASED, END, NOW), Code.ALREADY_RELEASED),
        (lambda: extended(OPEN, END + 1, END), Code.RESERVATION_EXPIRED),
        (lambda: extended(expired(OPEN, charge=True), END + 1, END), Code.RESERVATION_EXPIRED),
        (lambda: extended(expired(OPEN, charge=False), END + 1, END), Code.RESERVATION_EXPIRED),
    ],
)
def test_what_has_ended_takes_no_other_act(act, code):
    with pytest.raises(Conflict) as caught:
        act()
    assert caught.value.code == code


def test_a_release_repeated_is_the_very_first():
    assert released(RELEASED, END) is RELEASED
    late = released(expired(OPEN, charge=True), END)
    assert released(late, END + 1) is late


def test_a_release_takes_the_request_back_too():
    assert (RELEASED.status, RELEASED.used, RELEASED.late, RELEASED.settled_at) == (
        Status.RELEASED,
        NOTHING,
        False,
        None,
    )
    assert RELEASED.held == OPEN.held


@pytest.mark.parametrize(("charge", "used"), [(True, Amounts(500, 10, 1)), (False, NOTHING)])
def test_what_expires_is_charged_at_its_estimate_or_at_nothing(charge, used):
    after = expired(OPEN, charge=charge)
    assert (after.status, after.used, after.held) == (Status.EXPIRED, used, OPEN.held)
    assert after.late is False


@given(st.integers(1, 86_400 * SECOND), st.integers(0, 60 * SECOND - 1))
@often
def test_an_extension_never_shortens(ttl, after):
    now = NOW + after
    longer = extended(OPEN, now + ttl, now)
    assert longer == OPEN._replace(expires_at=max(END, now + ttl))


@pytest.mark.parametrize(("now", "late"), [(NOW, False), (END - 1, False), (END, True), (END + SECOND, True)])
def test_an_open_reservation_is_late_from_its_end_on(now, late):
    assert OPEN.is_late(now) is late


@pytest.mark.parametrize(("ended", "late"), [(SETTLED, False), (RELEASED, False), (expired(OPEN, charge=True), True)])
def test_of_those_that_have_ended_only_the_expired_are_late(ended, late):
    assert ended.is_late(END) is late


def test_a_release_gives_way_to_an_overdue_hold_as_late():
    assert released(OPEN, END).late is True
    assert released(OPEN, END - 1).late is False


acts = st.sampled_from(["settle", "release", "extend", "sweep"])


def step(before, act, actual, now, *, charge):
    if act == "settle":
        return settled(before, actual, now)
    if act == "release":
        return released(before, now)
    if act == "extend":
        return extended(before, now + 60 * SECOND, now)
    swept = before.status == Status.OPEN and before.is_late(now)
    return expired(before, charge=charge) if swept else before


@given(opens, st.lists(st.tuples(acts, actuals, st.integers(0, 90 * SECOND)), max_size=12), st.booleans())
@often
def test_on_every_path_what_is_charged_follows_from_the_state_alone(before, path, charge):
    state, now = before, NOW
    for act, actual, wait in path:
        now += wait
        try:
            state = step(state, act, actual, now, charge=charge)
        except Conflict:
            continue
        assert state.held == before.held
        if state.status in (Status.OPEN, Status.RELEASED):
            assert (state.used_cost, state.used_tokens) == (0, 0)
        assert state.requests == (
            0 if state.status == Status.RELEASED or (state.status == Status.EXPIRED and not charge) else 1
        )
        assert (state.settled_at is not None) == (state.status == Status.SETTLED)
