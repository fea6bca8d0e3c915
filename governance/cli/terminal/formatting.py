"""Formats the parts of a limit as text for a terminal: bar, amounts, times, scope."""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from governance.cli.terminal.tables import Styled
from governance.domain.limits import money
from governance.domain.limits.limit import Limit, Metric, Scope
from governance.domain.metering.decision import RuleStatus
from governance.domain.metering.denial_counts import Denials
from governance.domain.times import lasting, rfc3339, to_the_second

BAR = 10
NEARLY = 80
"""From this percentage on, the bar of a rule is yellow."""


class Cells(NamedTuple):
    """The characters of a bar."""

    used: str
    reserved: str
    free: str


BLOCKS = Cells("█", "▒", "░")
ASCII = Cells("#", "+", "-")


def gauge(status: RuleStatus) -> Styled:
    """Return a rule's bar and percentage. The bar is red from 100 %, yellow from 80 %, and green below 80 %."""
    percent = used_and_reserved(status) * 100 // status.matched.rule.max_limit
    colour = "green" if percent < NEARLY else "yellow" if percent < 100 else "red"  # noqa: PLR2004
    return Styled(f"{click.style(bar(status, _cells()), fg=colour)} {percent:>3}%")


def bar(status: RuleStatus, drawn: Cells) -> str:
    """Return a bar of ten characters that shows the used, the reserved and the free share, rounded down.

    The bar is full only if nothing is left.
    """
    limit, used = status.matched.rule.max_limit, status.window.used
    filled, total = (min(BAR, amount * BAR // limit) for amount in (used, used_and_reserved(status)))
    return drawn.used * filled + drawn.reserved * (total - filled) + drawn.free * (BAR - total)


def share(amount: int, highest: int) -> str:
    """Return a bar of ten characters that shows `amount` as a share of `highest`, rounded down."""
    drawn, filled = _cells(), amount * BAR // highest if highest else 0
    return drawn.used * filled + drawn.free * (BAR - filled)


def used_and_reserved(status: RuleStatus) -> int:
    """Return the sum of the used amount and the reserved amount."""
    return status.window.used + status.window.reserved


def amounts(status: RuleStatus) -> str:
    """Return the used amount, the reserved amount (if it is not 0) and the maximum: `$12.5 + $0.2 of $20`."""
    metric, window = status.matched.rule.metric, status.window
    reserved = f" + {amount(metric, window.reserved)}" if window.reserved else ""
    unit = "" if metric == Metric.COST else f" {metric}"
    return f"{amount(metric, window.used)}{reserved} of {amount(metric, status.matched.rule.max_limit)}{unit}"


def span(status: RuleStatus) -> str:
    """Return the length of the window. If the window follows the calendar, add the time zone."""
    rule, limit = status.matched.rule, status.matched.limit
    aligned = limit.calendar_aligned and rule.duration.alignable
    return f"{rule.reset_duration} {limit.timezone}" if aligned else rule.reset_duration


def scope(limit: Limit, scope_name: str | None) -> str:
    """Return the scope of a limit: `global`, `virtual key team-red`, `user ann`."""
    if limit.scope == Scope.GLOBAL:
        return limit.scope
    return f"{limit.scope.replace('_', ' ')} {scope_name or limit.scope_id}"


def provider(limit: Limit) -> str:
    """Return the provider, or `all`."""
    return limit.provider or "all"


def when(instant: int | None) -> str:
    """Return an instant as text, exact to the second. Return `–` for None."""
    return "–" if instant is None else to_the_second(instant)


def expiry(instant: int | None) -> str:
    """Return when a key expires, in words."""
    return "never expires" if instant is None else f"expires at {to_the_second(instant)}"


def denied(refused: Denials | None, now: int) -> str:
    """Return how many calls a limit refused, and how long ago it refused the last one. Return `–` for None."""
    return "–" if refused is None else f"{refused.calls:,}, {lasting(max(0, now - refused.last_at))} ago"


def denials(refused: Denials | None) -> dict[str, Any]:
    """Return the number of refused calls and the time of the last refusal, as JSON."""
    return {"count": refused.calls if refused else 0, "last_at": rfc3339(refused.last_at) if refused else None}


def member(value: str, names: Mapping[str, str]) -> str:
    """Return a value by which usage is grouped: a model, a provider, a virtual key or a user.

    If `names` has a name for the value, return both. For an empty value, return `–`.
    """
    known = names.get(value)
    return f"{known} ({value})" if known else value or "–"


def amount(metric: str, value: int) -> str:
    """Return an amount of a metric: `$1,250.5`, or a number of tokens or requests."""
    if metric != Metric.COST:
        return f"{value:,}"
    whole, point, fraction = money.dollars(value).partition(".")
    return f"${int(whole):,}{point}{fraction}"


def _cells() -> Cells:
    """Return block characters, or ASCII if standard output cannot encode them."""
    try:
        "".join(BLOCKS).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII
    return BLOCKS
