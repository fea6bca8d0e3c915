"""Exports all stored limits, virtual keys, users and prices as a config file, without secrets.

A sync stores the contents of a config file. A sync of an exported file changes no limit. In the file, budgets and rate
limits are nested in their limits.
"""

from typing import Any

import orjson

from governance.domain.config.entries import item_id, limit_id, price_id
from governance.domain.keys import User, VirtualKey
from governance.domain.limits.drafts import DraftItem, RuleSpec
from governance.domain.limits.limit import Limit, Metric, Rule, Scope, rules_by_id
from governance.domain.pricing.drafts import draft_of
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.pricing.schedule import ALWAYS
from governance.domain.records.stored import StoredRows
from governance.domain.times import rfc3339
from schemas.limits.items import RATES
from schemas.pricing.prices import rates
from schemas.render import dollars


def document(stored: StoredRows) -> bytes:
    """Return the config file as indented JSON. Its entries are in a fixed order."""
    limits = sorted((row.limit for row in stored.limits.values()), key=lambda limit: limit.identity)
    keys = sorted((row.key for row in stored.keys.values()), key=lambda key: key.id)
    users = sorted((row.user for row in stored.users.values()), key=lambda user: user.id)
    prices = sorted((row.price for row in stored.prices.values()), key=lambda price: price.identity)
    sections = {
        "users": [_user(user) for user in users],
        "virtual_keys": [_key(key) for key in keys],
        "model_configs": [_limit(limit) for limit in limits],
    }
    if prices:
        sections["prices"] = [_price(price) for price in prices]
    return orjson.dumps(sections, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _user(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name}


def _key(key: VirtualKey) -> dict[str, Any]:
    expires_at = None if key.expires_at is None else rfc3339(key.expires_at)
    fields = {
        "id": key.id,
        "name": key.name,
        "description": key.description,
        "is_active": key.is_active,
        "calendar_aligned": key.calendar_aligned,
        "expires_at": expires_at,
    }
    return _without_none(fields)


def _price(stored: PriceOverride) -> dict[str, Any]:
    draft = draft_of(stored)
    fields = {
        "id": None if stored.id == price_id(draft) else stored.id,
        "provider": stored.provider,
        "model": stored.model,
        "same_as": draft.same_as and _without_none(draft.same_as._asdict()),
        **rates(draft.price),
        "effective_from": None if stored.effective_from == ALWAYS else rfc3339(stored.effective_from),
    }
    return _without_none(fields)


def _limit(limit: Limit) -> dict[str, Any]:
    items = rules_by_id(limit.rules).values()
    fields = {
        "id": None if limit.id == limit_id(limit.identity) else limit.id,
        "model_name": limit.model_name,
        "provider": limit.provider,
        "scope": None if limit.scope == Scope.GLOBAL else limit.scope,
        "scope_id": limit.scope_id,
        "calendar_aligned": limit.calendar_aligned,
        "timezone": None if limit.timezone == "UTC" else limit.timezone,
        "budgets": [_budget(limit, rules) for rules in items if rules[0].metric == Metric.COST] or None,
        "rate_limits": [_rate_limit(limit, rules) for rules in items if rules[0].metric != Metric.COST] or None,
    }
    return _without_none(fields)


def _budget(limit: Limit, rules: list[Rule]) -> dict[str, Any]:
    (rule,) = rules
    return _id(limit, rules) | {"max_limit": dollars(rule.max_limit), "reset_duration": rule.reset_duration}


def _rate_limit(limit: Limit, rules: list[Rule]) -> dict[str, Any]:
    fields = _id(limit, rules)
    for rule in rules:
        prefix = RATES[Metric(rule.metric)]
        fields |= {f"{prefix}_max_limit": rule.max_limit, f"{prefix}_reset_duration": rule.reset_duration}
    return fields


def _id(limit: Limit, rules: list[Rule]) -> dict[str, Any]:
    """Return the field `id` of a budget or rate limit. `rules` are its maximums.

    If a sync would derive the same id from the entry, return no field.
    """
    ceilings = tuple(RuleSpec(Metric(rule.metric), rule.max_limit, rule.duration) for rule in rules)
    own = rules[0].id
    return {} if own == item_id(limit.id, DraftItem(None, ceilings)) else {"id": own}


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
