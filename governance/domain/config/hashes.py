"""Hashes of file entries. A changed hash shows that the entry has changed since it was stored.

The formulas are Bifrost's. A hash is the lower-case hex SHA-256 of the entry's settings. Usage and times are left out.
Fields that Bifrost does not have are appended if they are given. So an entry that has only Bifrost's fields has the
same hash as in Bifrost.
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
"""Go's JSON writes a number below this one with an exponent."""


def of_budget(budget_id: str, ceiling: RuleSpec) -> str:
    """Return the hash of a budget: of its id, maximum and duration, without separators between them."""
    return _hash(budget_id + go_number(ceiling.max_limit) + ceiling.duration.text)


def of_rate_limit(rate_limit_id: str, ceilings: Iterable[RuleSpec]) -> str:
    """Return the hash of a rate limit: of its id, the maximum and duration of tokens, and then those of requests."""
    return _hash(rate_limit_id + "".join(f"{ceiling.max_limit}{ceiling.duration.text}" for ceiling in ceilings))


def of_limit(entry: LimitEntry, limit_id: str, budget_ids: Iterable[str], rate_limit_ids: Iterable[str]) -> str:
    """Return the hash of a limit: of `name:length:value;` for each field and for each item id. The ids are sorted."""
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
    """Return the hash of a virtual key. The formula is Bifrost's, for the fields that this service has."""
    text = f"{name}{description or ''}{value or ''}"
    if is_active is not None:
        text += f"isActive:{str(is_active).lower()}"
    if expires_at is not None:
        text += f"expiresAt:{rfc3339(expires_at)}"
    return _hash(text + ("calendarAligned:true" if calendar_aligned else ""))


def of_user(user_id: str, name: str) -> str:
    """Return the hash of a user. Bifrost has no users, so the formula is that of a limit."""
    return _hash(_named([("id", user_id), ("name", name)]))


def of_price(price_id: str | None, draft: PriceDraft) -> str:
    """Return the hash of a price override. The formula is that of a limit."""
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
    """Return nano-dollars as Go writes dollars in JSON. If a double would lose digits, return all digits."""
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
