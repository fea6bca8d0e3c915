"""What limits look like in a terminal: bars, amounts, times, and whose they are."""

import sys
from typing import Any, NamedTuple

import click

from governance.cli.terminal.tables import Styled
from governance.domain.limits import money
from governance.domain.limits.limit import Limit, Metric, Scope
from governance.domain.metering.decision import RuleStatus
from governance.domain.metering.denials import Denials
from governance.domain.times import lasting, rfc3339, to_the_second

BAR = 10
NEARLY = 80
"""From this percentage on a rule is shown as nearly used up."""


class Cells(NamedTuple):
    """What a bar is drawn with."""

    used: str
    reserved: str
    free: str


BLOCKS = Cells("█", "▒", "░")
ASCII = Cells("#", "+", "-")


def gauge(status: RuleStatus) -> Styled:
    """A rule's bar and percentage: red where nothing passes any more, yellow from 80 %, else green."""
    percent = taken(status) * 100 // status.matched.rule.max_limit
    colour = "green" if percent < NEARLY else "yellow" if percent < 100 else "red"  # noqa: PLR2004
    return Styled(f"{click.style(bar(status, _cells()), fg=colour)} {percent:>3}%")


def bar(status: RuleStatus, drawn: Cells) -> str:
    """Used, reserved and free, in tenths that are whole: a bar is full where nothing is left, and only there."""
    limit, used = status.matched.rule.max_limit, status.window.used
    filled, held = (min(BAR, amount * BAR // limit) for amount in (used, taken(status)))
    return drawn.used * filled + drawn.reserved * (held - filled) + drawn.free * (BAR - held)


def taken(status: RuleStatus) -> int:
    """What is used and reserved."""
    return status.window.used + status.window.reserved


def amounts(status: RuleStatus) -> str:
    """`$12.5 + $0.2 of $20`: used, what open reservations hold (where they do), and the limit."""
    metric, window = status.matched.rule.metric, status.window
    reserved = f" + {_amount(metric, window.reserved)}" if window.reserved else ""
    unit = "" if metric == Metric.COST else f" {metric}"
    return f"{_amount(metric, window.used)}{reserved} of {_amount(metric, status.matched.rule.max_limit)}{unit}"


def span(status: RuleStatus) -> str:
    """The window's length, and the zone whose calendar it follows, where it follows one."""
    rule, limit = status.matched.rule, status.matched.limit
    aligned = limit.calendar_aligned and rule.duration.alignable
    return f"{rule.reset_duration} {limit.timezone}" if aligned else rule.reset_duration


def whose(limit: Limit, scope_name: str | None) -> str:
    """Whom a limit concerns: `global`, `virtual key team-red`, `user ann`."""
    if limit.scope == Scope.GLOBAL:
        return limit.scope
    return f"{limit.scope.replace('_', ' ')} {scope_name or limit.scope_id}"


def provider(limit: Limit) -> str:
    """The provider; a limit without one is on all."""
    return limit.provider or "all"


def when(instant: int | None) -> str:
    """An instant to the second."""
    return "–" if instant is None else to_the_second(instant)


def expiry(instant: int | None) -> str:
    """When a key expires, in words."""
    return "never expires" if instant is None else f"expires at {to_the_second(instant)}"


def denied(found: Denials | None, now: int) -> str:
    """How many calls a limit refused, and how long ago the last."""
    return "–" if found is None else f"{found.calls:,}, {lasting(max(0, now - found.last_at))} ago"


def denials(found: Denials | None) -> dict[str, Any]:
    """The same as JSON."""
    return {"count": found.calls if found else 0, "last_at": rfc3339(found.last_at) if found else None}


def _amount(metric: str, amount: int) -> str:
    if metric != Metric.COST:
        return f"{amount:,}"
    whole, point, fraction = money.dollars(amount).partition(".")
    return f"${int(whole):,}{point}{fraction}"


def _cells() -> Cells:
    """Blocks, where standard output can write them."""
    try:
        "".join(BLOCKS).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII
    return BLOCKS
