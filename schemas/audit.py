"""The audit log, which records who changed what: its changed fields, its entries as JSON, and the query of its list.

In an entry, fields have the same names as in responses. A limit contains rules. A rule is one maximum of dollars,
tokens or requests (its metric) in a window. The name of a rule's field contains the length of the window, for example
`budgets[1d].max_limit`. The length is enough, because no two rules of one metric have windows of the same length. A
price may contain tiers: other rates for calls with many input tokens. The name of a tier's field contains the number of
tokens above which the tier applies, for example `tiers[200000].input`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from marshmallow import post_load

from governance.domain.keys import VirtualKey
from governance.domain.limits import money
from governance.domain.limits.limit import LimitState, Metric, current
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.pricing.schedule import ALWAYS
from governance.domain.records.audit import AuditAction, AuditQuery, Entity, RecordedEntry
from governance.domain.records.list_query import Page
from governance.domain.times import rfc3339
from schemas import keys
from schemas.fields import OneOf
from schemas.queries import PageQuery, QueryText
from schemas.time_fields import Instant

Facts = dict[str, Any]

UNTOLD = frozenset({"id", "created_at", "updated_at", "last_used_at"})
"""Fields whose changes are not recorded.

The entry itself contains the id and the time of the change. `last_used_at` is not a setting.
"""
SETTINGS = ("model_name", "provider", "scope", "scope_id", "calendar_aligned", "timezone")
PLACES = {
    Metric.COST: ("budgets", ""),
    Metric.TOKENS: ("rate_limits", "token_"),
    Metric.REQUESTS: ("rate_limits", "request_"),
}
"""For each metric: the list in a response that contains the rules of the metric, and the prefix of their fields."""
USAGE = "current_usage"
HIDDEN = "hidden"


class MaskedSecret(NamedTuple):
    """A secret in an entry. Two secrets are compared by their digests, and the entry shows neither value nor digest."""

    digest: str


def _limit(scoped: LimitState, now: int) -> Facts:
    limit = scoped.limit
    facts = {name: getattr(limit, name) for name in SETTINGS}
    for rule in limit.rules:
        ids = facts.setdefault(f"{PLACES[Metric(rule.metric)][0]}[*].id", [])
        ids += [rule.id] if rule.id not in ids else []
    for rule, counter in zip(limit.rules, scoped.counters, strict=True):
        items, prefix = PLACES[Metric(rule.metric)]
        at = f"{items}[{rule.reset_duration}].{prefix}"
        amounts: list[Any] = [rule.max_limit, current(rule, limit.alignment, counter, now).used]
        if rule.metric == Metric.COST:
            amounts = [Decimal(money.dollars(nanos)) for nanos in amounts]
        facts[f"{at}max_limit"], facts[f"{at}{USAGE}"] = amounts
    return facts


def _virtual_key(key: VirtualKey, _: int) -> Facts:
    return _told(keys.virtual_key(key)) | {"value": MaskedSecret(key.digest)}


def _price(stored: PriceOverride, _: int) -> Facts:
    begins = None if stored.effective_from == ALWAYS else rfc3339(stored.effective_from)
    facts = {"provider": stored.provider, "model": stored.model, "same_as": stored.same_as, "effective_from": begins}
    if stored.same_as is None:
        price = stored.price
        facts |= price.rates._asdict() | {"request": price.request}
        for tier in price.tiers:
            facts |= {f"tiers[{tier.above}].{kind}": rate for kind, rate in tier.rates._asdict().items()}
    return facts


def _told(shown: Facts) -> Facts:
    return {name: value for name, value in shown.items() if name not in UNTOLD}


FACTS: dict[Entity, Callable[[Any, int], Facts]] = {
    Entity.MODEL_CONFIG: _limit,
    Entity.VIRTUAL_KEY: _virtual_key,
    Entity.USER: lambda user, _: _told(keys.user(user)),
    Entity.API_KEY: lambda key, _: _told(keys.api_key(key)),
    Entity.PRICE: _price,
}


def difference(entity: Entity, before: Any, after: Any, now: int) -> tuple[AuditAction, str] | None:
    """Compare two states of an object. Return the action (create, update or delete), and the changed fields as JSON.

    Return None if nothing changed. `before` is None for a new object, and `after` is None for a deleted object.
    """
    old, new = ({} if value is None else FACTS[entity](value, now) for value in (before, after))
    found = []
    for name in dict.fromkeys((*old, *new)):
        was, becomes = old.get(name), new.get(name)
        is_unused = name.endswith(USAGE) and not was and not becomes  # a rule without usage was added or removed
        if was != becomes and not is_unused:
            found.append({"field": name, "old": was, "new": becomes})
    if not found:
        return None
    action = AuditAction.UPDATE
    if before is None or after is None:
        action = AuditAction.CREATE if before is None else AuditAction.DELETE
    return action, orjson.dumps(found, default=_plain).decode()


def _plain(value: Any) -> str | orjson.Fragment:
    """Convert a value whose type orjson does not know: a Decimal to an exact number, a secret to `hidden`."""
    return HIDDEN if isinstance(value, MaskedSecret) else orjson.Fragment(f"{value:f}")


def entry(recorded: RecordedEntry) -> dict[str, Any]:
    """Return an entry of the audit log as JSON."""
    seq, told = recorded
    return {
        "seq": seq,
        **told._asdict(),
        "at": rfc3339(told.at),
        "changes": orjson.Fragment(told.changes),
    }


class AuditListQuery(PageQuery):
    """The query of `GET /audit`."""

    entity = OneOf({each.value: each for each in Entity}, metadata={"description": "Only changes of such things."})
    entity_id = QueryText(metadata={"description": "Only changes of the thing with this id."})
    actor = QueryText(
        metadata={"description": "Only what was done by this one: `key:<id>`, `command:<name>` or `file:<name>`."}
    )
    action = OneOf(
        {each.value: each for each in AuditAction}, metadata={"description": "Only what was done in this way."}
    )
    since = Instant(metadata={"description": "Only from this time on."})
    until = Instant(metadata={"description": "Only before this time."})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> AuditQuery:
        """Build a query from the parameters."""
        page = Page(data.pop("limit"), data.pop("offset"))
        return AuditQuery(page, **data)
