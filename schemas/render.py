"""Renders model limits as JSON, and contains functions for JSON that other modules use.

The same rows at the same instant give the same bytes, whether they come from memory or from the database. A rule of a
limit is one maximum of dollars, tokens or requests in each window of time. A counter is the stored usage of a rule in a
window. A rendering shows the current window of each rule. It is valid until the first of these windows ends. If a
current window has no counter yet, the rendering is not valid before this window starts. A valid rendering can be reused
until its rows change.
"""

import json
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from governance.domain.limits import money
from governance.domain.limits.limit import Counter, Limit, LimitState, Metric, Rule, Scope, current
from governance.domain.times import rfc3339

FOREVER = 2**62
DIGEST_LENGTH = 20
PIECE = 2047


class Rendering(NamedTuple):
    """One limit as JSON.

    It is valid from `valid_from` up to, but not including, `valid_until`, both in microseconds. Its strong ETag is
    `<version>.<digest>`. The version changes only when the limit is edited. The digest changes when the body changes,
    for example because of new usage.
    """

    body: bytes
    etag: str
    valid_from: int
    valid_until: int


class _State(NamedTuple):
    """A rule in its current window."""

    rule: Rule
    window: Counter


def limit(scoped: LimitState, now: int) -> Rendering:
    """Render a model limit at the instant `now`."""
    states, valid_from, valid_until = _states(scoped, now)
    body = dumps(_limit(scoped, states))
    return Rendering(body, f"{scoped.limit.version}.{digest(body)}", valid_from, valid_until)


def item(scoped: LimitState, item_id: str, now: int) -> bytes:
    """Render one budget or rate limit of a limit, in the form of the list of budgets or the list of rate limits."""
    states, _, _ = _states(scoped, now)
    own = [state for state in states if state.rule.id == item_id]
    is_budget = own[0].rule.metric == Metric.COST
    return dumps(_budget(scoped.limit, own[0]) if is_budget else _rate_limit(own))


def digest(document: bytes) -> str:
    """Return the digest of a rendering, for ETags.

    The input is hashed in pieces of at most 2,047 bytes. With more bytes, hashlib would release the interpreter lock
    (GIL), and then wait to get it back.
    """
    hashed, view = sha256(), memoryview(document)
    for begin in range(0, len(view), PIECE):
        hashed.update(view[begin : begin + PIECE])
    return hashed.hexdigest()[:DIGEST_LENGTH]


def dumps(value: Any) -> bytes:
    """Return compact JSON. To save memory, it is copied: the result of orjson occupies a far larger buffer."""
    return bytes(memoryview(orjson.dumps(value)))


def ascii_dumps(value: Any) -> str:
    """Return JSON in ASCII on one line, for an HTTP header."""
    return json.dumps(value, separators=(",", ":"))


def dollars(nanos: int) -> int | orjson.Fragment:
    """Return nano-dollars as the exact JSON number of dollars."""
    whole, fraction = divmod(nanos, money.NANOS)
    return orjson.Fragment(money.dollars(nanos)) if fraction else whole


def _states(scoped: LimitState, now: int) -> tuple[list[_State], int, int]:
    alignment = scoped.limit.alignment
    states = []
    valid_from, valid_until = -FOREVER, FOREVER
    for rule, counter in zip(scoped.limit.rules, scoped.counters, strict=True):
        window = current(rule, alignment, counter, now)
        states.append(_State(rule, window))
        valid_until = min(valid_until, window.end)
        if window is not counter:
            valid_from = max(valid_from, window.start, counter.end if counter else -FOREVER)
    return states, valid_from, valid_until


def _limit(scoped: LimitState, states: list[_State]) -> dict[str, Any]:
    limit = scoped.limit
    budgets = [_budget(limit, state) for state in states if state.rule.metric == Metric.COST]
    items: dict[str, list[_State]] = {}
    for state in states:
        if state.rule.metric != Metric.COST:
            items.setdefault(state.rule.id, []).append(state)
    rate_limits = [_rate_limit(sides) for sides in items.values()]
    return {
        "id": limit.id,
        "model_name": limit.model_name,
        "provider": limit.provider,
        "scope": limit.scope,
        "scope_id": limit.scope_id,
        "scope_name": scoped.scope_name,
        "calendar_aligned": limit.calendar_aligned,
        "timezone": limit.timezone,
        "budgets": budgets,
        "budget": budgets[0] if budgets else None,
        "rate_limits": rate_limits,
        "rate_limit": rate_limits[0] if rate_limits else None,
        "config_hash": limit.config_hash,
        "created_at": rfc3339(limit.created_at),
        "updated_at": rfc3339(limit.updated_at),
    }


def _budget(limit: Limit, state: _State) -> dict[str, Any]:
    rule, window = state
    return {
        "id": rule.id,
        "max_limit": dollars(rule.max_limit),
        "reset_duration": rule.reset_duration,
        "last_reset": rfc3339(window.start),
        "current_usage": dollars(window.used),
        "config_hash": rule.config_hash,
        "created_at": rfc3339(rule.created_at),
        "updated_at": rfc3339(rule.updated_at),
        "calendar_aligned": limit.calendar_aligned and rule.duration.alignable,
        "team_id": None,
        "virtual_key_id": limit.scope_id if limit.scope == Scope.VIRTUAL_KEY else None,
        "provider_config_id": None,
        "model_config_id": limit.id,
        "reserved": dollars(window.reserved),
        "resets_at": rfc3339(window.end),
    }


def _rate_limit(sides: list[_State]) -> dict[str, Any]:
    by_metric = {state.rule.metric: state for state in sides}
    token, request = by_metric.get(Metric.TOKENS), by_metric.get(Metric.REQUESTS)
    rule = sides[0].rule
    return {
        "id": rule.id,
        "token_current_usage": token.window.used if token else 0,
        "token_last_reset": rfc3339(token.window.start) if token else None,
        "request_current_usage": request.window.used if request else 0,
        "request_last_reset": rfc3339(request.window.start) if request else None,
        "config_hash": rule.config_hash,
        "created_at": rfc3339(rule.created_at),
        "updated_at": rfc3339(rule.updated_at),
        "token_max_limit": token.rule.max_limit if token else None,
        "token_reset_duration": token.rule.reset_duration if token else None,
        "request_max_limit": request.rule.max_limit if request else None,
        "request_reset_duration": request.rule.reset_duration if request else None,
        "token_reserved": token.window.reserved if token else 0,
        "token_resets_at": rfc3339(token.window.end) if token else None,
        "request_reserved": request.window.reserved if request else 0,
        "request_resets_at": rfc3339(request.window.end) if request else None,
    }
