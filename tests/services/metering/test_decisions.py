"""Reserve, report and check return a decision.

The caller passes the renderer, so each caller may have its own format.
"""

import threading

import pytest

from governance.domain.errors import Code, InvalidRequest
from governance.domain.metering.decision import Decision
from governance.domain.metering.request import Call, RequestedAmounts, ReservationRequest
from governance.services.metering.reserve_and_report import Renderer

REPEAT = ("key", "/path", "the caller's key")


class Plain:
    """Renders a decision as text, and records the threads in which it renders."""

    def __init__(self):
        self.threads = []

    def answer(self, decision):
        self.threads.append(threading.current_thread().name)
        return f"{len(decision.statuses)} rules".encode()


@pytest.fixture
def plain():
    return Plain()


@pytest.fixture
def renderer(plain):
    return Renderer(plain.answer, lambda rules: tuple(rule.rule.id for rule in rules))


@pytest.fixture
def metering(api, governance):
    api.create("gpt-4o", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    return governance.metering


def request(cost=500_000_000, **call):
    return ReservationRequest(Call("gpt-4o", **call), RequestedAmounts(cost, 0))


def test_a_reservation_that_holds_is_a_decision_with_its_rules_and_what_was_held(metering, renderer, clock):
    decision = metering.reserve(request(), renderer)
    [status] = decision.statuses
    assert (decision.allowed, decision.now, decision.rendered, decision.replayed) == (True, clock(), b"1 rules", False)
    assert (status.requested, status.remaining, decision.reservation.held_cost) == (500_000_000, 10**9, 500_000_000)


def test_a_denial_is_a_decision_too_and_nothing_renders_it(metering, renderer, plain, clock):
    decision = metering.reserve(request(cost=2 * 10**9), renderer)
    assert (decision.allowed, decision.reservation, decision.retry_at) == (False, None, None)
    assert (decision.word, decision.call, plain.threads) == ("budget_exceeded", Call("gpt-4o"), [])
    assert metering.reserve(request(cost=10**9), renderer).allowed
    later = metering.reserve(request(), renderer)
    assert later.retry_at == later.violations[0].window.end > clock()


def test_a_virtual_key_that_may_not_be_used_is_a_decision_without_rules(metering, renderer):
    decision = metering.reserve(request(virtual_key_id="nobody"), renderer)
    assert (decision.allowed, decision.statuses, decision.violations) == (False, (), ())
    assert decision.key_refusal.code == Code.VIRTUAL_KEY_UNKNOWN


def test_the_writer_thread_renders_once_for_each_decision(metering, renderer, plain):
    metering.reserve(request(cost=1), renderer)
    metering.report(request(cost=1), renderer, REPEAT)
    assert plain.threads == ["group-commit"] * 2


@pytest.mark.parametrize("act", ["reserve", "report"])
def test_a_repeat_is_known_by_what_was_rendered_the_first_time(metering, renderer, plain, act):
    first, again = (getattr(metering, act)(request(cost=1), renderer, REPEAT) for _ in range(2))
    assert (first.rendered, first.replayed) == (b"1 rules", False)
    assert again == Decision(Call("gpt-4o"), first.now, rendered=b"1 rules", replayed=True)
    assert len(plain.threads) == 1
    with pytest.raises(InvalidRequest, match="Use a new Idempotency-Key"):
        getattr(metering, act)(request(cost=2), renderer, REPEAT)


def test_a_report_is_charged_whatever_is_left(metering, renderer):
    decision = metering.report(request(cost=5 * 10**9), renderer)
    assert (decision.allowed, decision.reservation.status, decision.rendered) == (True, "reported", b"1 rules")


def test_a_check_is_the_decision_of_a_reservation_and_writes_nothing(metering, renderer, governance):
    asked = request(cost=10**9)
    checked = metering.check(asked)
    assert checked == metering.check(asked)
    reserved = metering.reserve(asked, renderer)
    assert checked.statuses == reserved.statuses
    assert (checked.reservation, checked.rendered) == (None, b"")
    denied = metering.check(asked)
    assert [status.matched.rule.id for status in denied.violations] == [checked.statuses[0].matched.rule.id]
