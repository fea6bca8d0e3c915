"""Lists the differences between two states of a row, as text for a person."""

from collections.abc import Iterator
from typing import NamedTuple

from governance.domain.keys import User, VirtualKey
from governance.domain.limits import money
from governance.domain.limits.limit import Limit, Metric, Scope, scope_words
from governance.domain.pricing import price_json
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.pricing.schedule import ALWAYS
from governance.domain.times import rfc3339


class Difference(NamedTuple):
    """A value that differs between two states. `old` or `new` is None if the row has no such value in that state."""

    what: str
    old: str | None
    new: str | None


SETTINGS = ("calendar_aligned", "timezone")
PLAIN = {"calendar_aligned": "false", "timezone": "UTC", "is_active": "true"}
"""Default values. They are not listed when a row is created or removed."""


def title(limit: Limit) -> str:
    """Return the title of a limit, for example `gpt-4o of openai for virtual key search-team`."""
    scope = "" if limit.scope == Scope.GLOBAL else f" for {scope_words(limit.scope)} {limit.scope_id}"
    return limit.models_in_words + scope


def shown(metric: str, max_limit: int, duration: str) -> str:
    """Return a maximum and its time window as text, for example `$50 / 1d` or `2000 tokens / 1h`."""
    much = f"${money.dollars(max_limit)}" if metric == Metric.COST else f"{max_limit} {metric}"
    return f"{much} / {duration}"


def of_limits(before: Limit | None, after: Limit | None) -> tuple[Difference, ...]:
    """Return the differences between two states of a limit.

    A state is None before the limit was created or after it was removed.
    """
    return tuple(_differences(_limit(before), _limit(after)))


def of_keys(before: VirtualKey | None, after: VirtualKey | None) -> tuple[Difference, ...]:
    """Return the differences between two states of a virtual key. Of its value, only the prefix is shown."""
    differences = list(_differences(_key(before), _key(after)))
    if before is not None and after is not None and before.digest != after.digest:
        differences.append(Difference("value", f"{before.value_prefix}…", f"{after.value_prefix}…"))
    return tuple(differences)


def of_users(before: User | None, after: User | None) -> tuple[Difference, ...]:
    """Return the differences between two states of a user."""
    return tuple(_differences(_user(before), _user(after)))


def of_prices(before: PriceOverride | None, after: PriceOverride | None) -> tuple[Difference, ...]:
    """Return the differences between two states of a price override."""
    return tuple(_differences(_price(before), _price(after)))


Shown = dict[object, tuple[str, str]]
"""The values of a row that a person sees, as (name, text). Both states use the same key for the same value."""


def _differences(old: Shown, new: Shown) -> Iterator[Difference]:
    is_whole = not old or not new
    defaults = PLAIN | {"name": ""}
    for key in {**old, **new}:
        what, before = old.get(key, (None, None))
        name, after = new.get(key, (what, None))
        if before != after and not (is_whole and defaults.get(str(name)) in ("", before or after)):
            yield Difference(str(name), before, after)


def _limit(limit: Limit | None) -> Shown:
    if limit is None:
        return {}
    settings = {name: str(getattr(limit, name)) for name in SETTINGS}
    settings["calendar_aligned"] = settings["calendar_aligned"].lower()
    values: Shown = {name: (name, text) for name, text in settings.items()}
    for rule in limit.rules:
        name = "budget" if rule.metric == Metric.COST else "rate limit"
        values[rule.key] = (name, shown(rule.metric, rule.max_limit, rule.reset_duration))
    return values


def _key(key: VirtualKey | None) -> Shown:
    if key is None:
        return {}
    expires_at = None if key.expires_at is None else rfc3339(key.expires_at)
    texts = {
        "name": key.name,
        "description": key.description,
        "is_active": str(key.is_active).lower(),
        "calendar_aligned": str(key.calendar_aligned).lower(),
        "expires_at": expires_at,
    }
    return {name: (name, text) for name, text in texts.items() if text is not None}


def _user(user: User | None) -> Shown:
    return {} if user is None else {"name": ("name", user.name)}


def _price(override: PriceOverride | None) -> Shown:
    if override is None:
        return {}
    begins = None if override.effective_from == ALWAYS else rfc3339(override.effective_from)
    texts = {"model": override.name, "same_as": override.same_as, "effective_from": begins}
    if override.same_as is None:
        price = override.price
        rates = {kind: rate for kind, rate in price.rates._asdict().items() if rate is not None}
        texts |= {kind: f"${price_json.number(rate)}" for kind, rate in rates.items()}
        texts["request"] = None if price.request is None else f"${price_json.number(price.request)} a call"
        texts |= {f"above {tier.above}": price_json.rates(tier.rates) for tier in price.tiers}
    return {name: (name, text) for name, text in texts.items() if text is not None}
