"""Computes the hashes of the entries of a config file.

A changed hash shows that the entry has changed since it was stored. The formulas are those of Bifrost, an LLM gateway
that reads such files too. A hash is the lower-case hex SHA-256 of the entry's settings, without usage and times. Fields
that Bifrost does not have are appended if the entry contains them. So an entry that contains only Bifrost's fields has
the same hash as in Bifrost.
"""

from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha256

from governance.domain.config.entries import LimitEntry
from governance.domain.limits import money
from governance.domain.limits.drafts import RuleSpec
from governance.domain.pricing import price_json
from governance.domain.pricing.drafts import PriceDraft
from governance.domain.pricing.overrides import full_name
from governance.domain.times import rfc3339

PLAIN_FROM = Decimal("1e-6")
"""Go's JSON encoder writes numbers below this number with an exponent. Bifrost is written in Go."""


def of_budget(budget_id: str, ceiling: RuleSpec) -> str:
    """Hash a budget. The input is its id, its maximum and its duration, without separators."""
    return _hash(budget_id + go_number(ceiling.max_limit) + ceiling.duration.text)


def of_rate_limit(rate_limit_id: str, ceilings: Iterable[RuleSpec]) -> str:
    """Hash a rate limit. The input is its id, the maximum and the duration for tokens, and then those for requests."""
    return _hash(rate_limit_id + "".join(f"{ceiling.max_limit}{ceiling.duration.text}" for ceiling in ceilings))


def of_limit(entry: LimitEntry, limit_id: str, budget_ids: Iterable[str], rate_limit_ids: Iterable[str]) -> str:
    """Hash a limit.

    The input contains `name:length:value;` for each field, and for each id of a budget or rate limit. The ids are
    sorted.
    """
    draft, alone = entry.draft, entry.rate_limit_id
    fields = [
        ("id", limit_id),
        ("model_name", draft.model_name),
        ("provider", draft.provider),
        ("scope", draft.scope),
        ("scope_id", draft.scope_id),
        ("budget_id", entry.budget_id),
        ("rate_limit_id", alone),
        *(("budget_ids", each) for each in sorted(budget_ids)),
        *(("rate_limit_ids", each) for each in sorted(rate_limit_ids)),
    ]
    if draft.calendar_aligned is not None:
        fields.append(("calendar_aligned", str(draft.calendar_aligned).lower()))
    if draft.timezone != "UTC":
        fields.append(("timezone", draft.timezone))
    return _hash(_named(fields))


def of_key(
    name: str,
    description: str | None,
    value: str | None,
    *,
    is_active: bool | None,
    calendar_aligned: bool,
    expires_at: int | None,
) -> str:
    """Hash a virtual key with Bifrost's formula, from the fields that exist in this service."""
    text = f"{name}{description or ''}{value or ''}"
    if is_active is not None:
        text += f"isActive:{str(is_active).lower()}"
    if expires_at is not None:
        text += f"expiresAt:{rfc3339(expires_at)}"
    return _hash(text + ("calendarAligned:true" if calendar_aligned else ""))


def of_user(user_id: str, name: str) -> str:
    """Hash a user with the formula for limits, because Bifrost has no users."""
    return _hash(_named([("id", user_id), ("name", name)]))


def of_price(price_id: str | None, draft: PriceDraft) -> str:
    """Hash a price override, with the formula for limits."""
    alias = draft.same_as and full_name(draft.same_as.provider, draft.same_as.model)
    fields = [
        ("id", price_id),
        ("model", draft.model),
        ("provider", draft.provider),
        ("same_as", alias),
        ("price", price_json.text(draft.price)),
        ("effective_from", str(draft.effective_from)),
    ]
    return _hash(_named(fields))


def go_number(nanos: int) -> str:
    """Convert nano-dollars to dollars, written as Go writes them in JSON.

    If a 64-bit float cannot represent the amount exactly, write all digits.
    """
    exact = Decimal(nanos).scaleb(-9)
    shortest = Decimal(repr(float(exact)))
    if shortest != exact:
        return money.dollars(nanos)
    if exact >= PLAIN_FROM:
        return money.dollars(nanos)
    return f"{float(exact)!r}".replace("e-0", "e-")


def _named(fields: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f"{name}:{len((value or '').encode())}:{value or ''};" for name, value in fields)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
