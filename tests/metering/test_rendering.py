"""A rule in a response is put together from a template. The text is the same as if it were rendered whole."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.limits.limit import Counter, Limit, Metric, Rule
from governance.domain.metering.decision import Decision, MatchedRule, RuleStatus
from governance.domain.metering.request import Call
from governance.domain.metering.reservation import Reservation
from schemas import render
from schemas.metering import decisions

names = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["100%", "%s", "%(a)s", '"', "\\", "\0", "é"]
)
amounts = st.integers(0, 2**53)


@st.composite
def statuses(draw):
    scope_id = draw(st.none() | names)
    rule = Rule(draw(names), draw(st.sampled_from(Metric)), draw(st.integers(1, 2**53)), "1d", 0, 0, None, 0, 0)
    limit = Limit(
        draw(names), draw(names), draw(st.none() | names), "user", scope_id, False, "UTC", None, 0, 0, 1, "", (rule,)
    )
    window = Counter(0, draw(st.integers(0, 2**51)), draw(amounts), draw(amounts))
    return RuleStatus(MatchedRule(rule, limit, draw(st.none() | names), (0, 0)), window, draw(amounts))


def exactly(rendered):
    return json.loads(rendered, parse_float=Decimal)


@given(st.lists(statuses(), max_size=4))
@settings(deadline=None, max_examples=200)
def test_a_rule_reads_as_if_it_were_rendered_whole(shown):
    whole = [render.dumps(decisions.rule(each)) for each in shown]
    assert render.dumps(decisions.rules(shown)) == b"[" + b",".join(whole) + b"]"


@given(statuses())
@settings(deadline=None, max_examples=100)
def test_what_a_call_holds_or_used_is_shown_among_what_the_rule_counts(shown):
    held = shown._replace(window=shown.window._replace(reserved=shown.window.reserved + shown.requested))
    used = shown._replace(window=shown.window._replace(used=shown.window.used + shown.requested))
    decision = Decision(Call("m"), 0, [shown], reservation=RESERVATION)
    (charged,) = exactly(decisions.reported(decision))["limits"]
    assert charged.pop("over") is (used.remaining == 0)
    assert charged == exactly(render.dumps(decisions.rule(used)))
    (allowed,) = exactly(decisions.allowed(decision))["limits"]
    assert allowed == exactly(render.dumps(decisions.rule(held)))


RESERVATION = Reservation("r", "open", "m", None, None, None, 1, 0, 0, 0, 0, 0, 0, None, late=False)
