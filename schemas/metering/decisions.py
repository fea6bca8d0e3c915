"""Writes decisions (may a call pass?) and reservations as JSON. Amounts of a budget are in dollars.

A decision lists the rules that apply to the call. A rule is one maximum of dollars, tokens or requests in each window
of time. Most of a rule's JSON never changes. To save time, this part is rendered once, as a template with gaps for the
amounts and the end of the window.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

from orjson import Fragment

from governance.domain.limits import money
from governance.domain.limits.limit import Metric
from governance.domain.metering.decision import Decision, MatchedRule, RuleStatus
from governance.domain.metering.request import Call
from governance.domain.metering.reservation import Reservation, Status
from governance.domain.times import rfc3339
from schemas.metering.unknown_prices import report_warnings, warnings
from schemas.render import dollars, dumps

RULES_REMEMBERED = 8192
GAP = Fragment("\0")
"""Marks a gap in a template. The character U+0000 never occurs in JSON text."""


def allowed(decision: Decision) -> bytes:
    """Return the response to a reservation that was granted. The amounts of the rules include this reservation."""
    held = decision.reservation
    texts = [_text(each, each.window.used, each.window.reserved + each.requested) for each in decision.statuses]
    limits = Fragment(f"[{','.join(texts)}]")
    told = {"decision": "allow", "reservation": held and reservation(held), "limits": limits}
    found = warnings(decision, "no dollars are held")
    return dumps(told | {"warnings": found} if found else told)


def reported(decision: Decision) -> bytes:
    """Return the response to a usage report. The amounts of the rules include this usage.

    For each rule, `over` says whether it is used up.
    """
    used = decision.reservation
    told = {
        "message": "Usage recorded successfully",
        "cost": dollars(used.used_cost if used else 0),
        "cost_source": used and used.cost_source,
        "price": used and price(used.price),
        "limits": _array(map(_charged, decision.statuses)),
    }
    found = report_warnings(decision)
    return dumps(told | {"warnings": found} if found else told)


@lru_cache(maxsize=RULES_REMEMBERED)
def repeated_texts(matched: tuple[MatchedRule, ...]) -> tuple[str, ...]:
    """Return texts that occur in all responses with the same rules.

    They are most of the bytes of a response. The database stores each of them only once.
    """
    return (_frame(), *map(_template, matched))


def reservation(held: Reservation) -> dict[str, Any]:
    """Return a reservation as JSON."""
    return {
        "id": held.id,
        "status": held.status,
        "model": held.model,
        "provider": held.provider,
        "virtual_key_id": held.virtual_key_id,
        "user_id": held.user_id,
        "requests": held.requests,
        "tokens": {"reserved": held.held_tokens, "used": held.used_tokens},
        "cost": {"reserved": dollars(held.held_cost), "used": dollars(held.used_cost)},
        "overrun": {
            "tokens": max(0, held.used_tokens - held.held_tokens),
            "cost": dollars(max(0, held.used_cost - held.held_cost)),
        },
        "created_at": rfc3339(held.created_at),
        "expires_at": rfc3339(held.expires_at),
        "settled_at": None if held.settled_at is None else rfc3339(held.settled_at),
        "late": held.late,
        "cost_source": held.cost_source,
        "price": price(held.price),
    }


def price(stored: str | None) -> Fragment | None:
    """Return the price of a reservation as JSON. It is stored as JSON text."""
    return None if stored is None else Fragment(stored)


def rule(status: RuleStatus) -> dict[str, Any]:
    """Return a rule in its current window, as a JSON object."""
    matched, window, requested, _ = status
    figures = map(_figure(matched.rule.metric), (window.used, window.reserved, requested, status.remaining))
    return _shape(matched, figures, rfc3339(window.end))


def rules(statuses: Sequence[RuleStatus]) -> Fragment:
    """Return rules in their current windows, as a JSON array."""
    return _array(_text(each, *each.window[2:]) for each in statuses)


@cache
def _frame() -> str:
    """Return a sample response: the response to a reservation to which no rule applies."""
    held = Reservation("", Status.OPEN, "", "", "", "", 1, 1000, 10**7, 0, 0, 0, 0, None, late=False)
    return allowed(Decision(Call(""), 0, reservation=held)).decode()


def _charged(status: RuleStatus) -> str:
    used, reserved = status.window.used + status.requested, status.window.reserved
    over = used + reserved >= status.matched.rule.max_limit
    return f'{_text(status, used, reserved)[:-1]},"over":{"true" if over else "false"}}}'


def _array(texts: Iterable[str]) -> Fragment:
    return Fragment(f"[{','.join(texts)}]")


def _text(status: RuleStatus, used: int, reserved: int) -> str:
    """Return a rule's JSON with these used and reserved amounts."""
    matched, window, requested, _ = status
    own = matched.rule
    figures = (used, reserved, requested, max(0, own.max_limit - used - reserved))
    shown = map(money.dollars, figures) if own.metric == Metric.COST else figures
    return _template(matched) % (*shown, rfc3339(window.end))


@lru_cache(maxsize=RULES_REMEMBERED)
def _template(matched: MatchedRule) -> str:
    """Return a rule's JSON with gaps for its amounts and the end of its window."""
    shown = dumps(_shape(matched, [GAP] * 4, Fragment('"\0"')))
    return shown.decode().replace("%", "%%").replace("\0", "%s")


def _shape(matched: MatchedRule, figures: Iterable[Any], resets_at: Any) -> dict[str, Any]:
    used, reserved, requested, remaining = figures
    own, limit = matched.rule, matched.limit
    return {
        "rule_id": own.id,
        "model_config_id": limit.id,
        "kind": matched.kind,
        "metric": own.metric,
        "model_name": limit.model_name,
        "provider": limit.provider,
        "scope": limit.scope,
        "scope_id": limit.scope_id,
        "scope_name": matched.scope_name,
        "used": used,
        "reserved": reserved,
        "requested": requested,
        "limit": _figure(own.metric)(own.max_limit),
        "remaining": remaining,
        "resets_at": resets_at,
    }


def _figure(metric: str) -> Callable[[int], Any]:
    """Return the function that converts an amount to JSON: for the metric cost, from nano-dollars to dollars."""
    return dollars if metric == Metric.COST else int
