"""Converts the budgets and rate limits in a database of Bifrost (an LLM gateway), with their usage and windows.

A row is a budget or a rate limit as Bifrost stores it. A *candidate* is a row that can be imported. A *remark* is a
sentence of the import's report. It says why a row is not imported, or what differs in this service.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from governance.domain import coercion
from governance.domain.bifrost.candidates import CandidateItem, CandidateKind, CandidateRule, ImportNote
from governance.domain.bifrost.rows import BudgetRow, RateLimitRow
from governance.domain.errors import InvalidRequest
from governance.domain.limits import money
from governance.domain.limits.limit import Metric
from schemas.limits.items import BudgetBody, RateLimitBody
from schemas.loading import load

LONGEST_SHOWN = 60
SHA256 = re.compile("[0-9a-fA-F]{64}")

ROUNDED = "Its usage was rounded to the billionth of a dollar."
SEVERAL = re.compile("0*(?:[2-9]|[1-9][0-9]+)[dwMQY]")
MULTIPLE = "Bifrost ends a calendar window of several periods after the first; here it lasts for all of them."
REFUSES = "In Bifrost it refuses every call."
OF_JANUARY = "Quarters begin in January, April, July and October here, whatever its reset_config says."


class MetricColumns(NamedTuple):
    """The columns of a row for one metric (cost, tokens or requests). This service's fields have the same names."""

    metric: Metric
    maximum: str
    duration: str
    usage: str
    last_reset: str


COST = MetricColumns(Metric.COST, "max_limit", "reset_duration", "current_usage", "last_reset")
RATES = tuple(
    MetricColumns(metric, f"{word}_max_limit", f"{word}_reset_duration", f"{word}_current_usage", f"{word}_last_reset")
    for metric, word in ((Metric.TOKENS, "token"), (Metric.REQUESTS, "request"))
)
SCHEMAS = {
    side: (BudgetBody if side is COST else RateLimitBody)(only=("id", side.maximum, side.duration))
    for side in (COST, *RATES)
}
"""For each metric, the schema that checks its columns.

An import checks thousands of rows. To save time, a schema contains only the id, the maximum and the duration.
"""
METRICS = (None, "", *(side.metric for side in RATES))


def is_lost(row: BudgetRow | RateLimitRow, item: CandidateItem) -> bool:
    """Return whether a row has a maximum that is not in `item`, the part of the row that can be imported."""
    imported = {part.ceiling.metric for part in item.parts}
    return any(getattr(row, side.maximum) is not None and side.metric not in imported for side in _all_sides(row))


def _blocks(row: BudgetRow | RateLimitRow, side: MetricColumns) -> bool:
    """Return whether the maximum of a metric is too small for any call.

    Such a maximum is at least 0, but less than one nano-dollar, token or request. If it applies to a call, Bifrost
    refuses the call.
    """
    maximum = coercion.number(getattr(row, side.maximum))
    return isinstance(maximum, int | Decimal) and 0 <= maximum < (money.NANO if side is COST else 1)


def item_note(row: BudgetRow | RateLimitRow, limit: str = "") -> ImportNote:
    """Return the note in which the import reports on a budget or rate limit.

    The note has no remarks yet. The name in the note contains the maximums, for example `$20 in 1d`.
    """
    allows = [
        f"{_shown_maximum(side, row)} in {getattr(row, side.duration)}"
        for side in _sides(row)
        if getattr(row, side.maximum) is not None
    ]
    name = ", ".join(allows) or "nothing"
    kind = CandidateKind.BUDGET if isinstance(row, BudgetRow) else CandidateKind.RATE_LIMIT
    return ImportNote(kind, id_text(row), f"{name} on {limit}" if limit else name)


def reasons(error: InvalidRequest, row: tuple[Any, ...]) -> list[str]:
    """Return why the schema refused a row: one sentence for each refused value."""
    sentences = []
    for param, message, _ in error.faults:
        value = getattr(row, param or "", None)
        sentences.append(message if value is None else f"{param} is {_shown(value)}: {message[0].lower()}{message[1:]}")
    return sentences


def id_text(row: Any) -> str:
    """Return the id of a row as text. Return '' if the row has no id: every schema refuses '' as an id."""
    return "" if row.id is None else str(row.id).strip()


def sha256(value: Any) -> str | None:
    """Return a SHA-256 digest in lower-case hex. Return None if the value is not a SHA-256 digest."""
    return value.lower() if isinstance(value, str) and SHA256.fullmatch(value) else None


def times(row: Any, now: int) -> tuple[int, int]:
    """Return when a row was created and when it was updated, in microseconds.

    If the time of creation cannot be read, it is `now`. If the time of the update cannot be read, it is the time of
    creation.
    """
    created_at = _instant(row.created_at, now)
    return created_at, _instant(row.updated_at, created_at)


def _instant(value: Any, otherwise: int) -> int:
    try:
        known = coercion.instant(value)
    except ValueError:
        known = None
    return otherwise if known is None else known


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _shown_maximum(side: MetricColumns, row: BudgetRow | RateLimitRow) -> str:
    value = coercion.number(getattr(row, side.maximum))
    if side is COST:
        return f"${money.dollars(nanos)}" if (nanos := coercion.nanos(value)) is not None else f"${value}"
    return f"{value} {side.metric}"


def is_blocking(row: BudgetRow | RateLimitRow) -> bool:
    """Return whether a maximum of a row is so small that Bifrost refuses every call."""
    return any(_blocks(row, side) for side in _sides(row))


def _sides(row: BudgetRow | RateLimitRow) -> Sequence[MetricColumns]:
    """Return the columns of the metrics that a row may limit.

    In the databases of newer versions of Bifrost, a rate limit has only one metric, and its row names this metric.
    """
    metric = row.metric if isinstance(row, RateLimitRow) else None
    return [side for side in _all_sides(row) if not metric or metric == side.metric]


def _all_sides(row: BudgetRow | RateLimitRow) -> Sequence[MetricColumns]:
    return (COST,) if isinstance(row, BudgetRow) else RATES


def item_of(row: BudgetRow | RateLimitRow, limit: str, now: int, *, aligned: bool) -> CandidateItem:
    """Return a row as a candidate: one part for each maximum that can be imported.

    If there is no part, the remarks say why. If the row sets no maximum, there may be no remarks either.
    """
    remarks: list[str] = []
    parts = [part for side in _sides(row) if (part := _part(row, side, remarks)) is not None]
    if aligned and any(SEVERAL.fullmatch(str(getattr(row, side.duration))) for side in _sides(row)):
        remarks.append(MULTIPLE)
    if isinstance(row, BudgetRow):
        remarks += _budget_remarks(row)
    elif row.metric not in METRICS:
        remarks.append(f"metric is {_shown(row.metric)}: only tokens and requests are counted here.")
    else:
        remarks += _other_sides(row)
    note = item_note(row, limit).saying(*remarks)
    return CandidateItem(note, tuple(parts), sha256(row.config_hash), *times(row, now))


def _other_sides(row: RateLimitRow) -> Iterable[str]:
    """Yield a remark for each maximum of a metric other than the one that the rate limit names."""
    for side in _all_sides(row):
        if side not in _sides(row) and getattr(row, side.maximum) is not None:
            yield f"Its {side.maximum} is not taken: its metric is {row.metric}."


def _part(row: BudgetRow | RateLimitRow, side: MetricColumns, remarks: list[str]) -> CandidateRule | None:
    """Return the maximum of one metric, with its window and usage. Return None if it is missing or invalid.

    Append remarks to `remarks`.
    """
    maximum, duration = getattr(row, side.maximum), getattr(row, side.duration)
    if maximum is None and side is not COST:
        return None
    body = {
        "id": id_text(row),
        side.maximum: coercion.dollars(maximum) if side is COST else coercion.number(maximum),
        side.duration: coercion.duration(duration),
    }
    try:
        wanted = load(SCHEMAS[side], body)
    except InvalidRequest as error:
        remarks += reasons(error, row)
        if _blocks(row, side):
            remarks.append(REFUSES)
        return None
    if body[side.maximum] != coercion.number(maximum):
        remarks.append(f"Its maximum of {_shown(maximum)} was rounded to the billionth of a dollar.")
    if body[side.duration] != duration:
        remarks.append(f"{duration} is written {body[side.duration]} here.")
    return CandidateRule(wanted.ceilings[0], _began(row, side, remarks), _used(row, side, remarks))


def _began(row: BudgetRow | RateLimitRow, side: MetricColumns, remarks: list[str]) -> int | None:
    value = getattr(row, side.last_reset)
    try:
        return coercion.instant(value)
    except ValueError:
        remarks.append(f"{side.last_reset} is {_shown(value)}, which is no time.")
        return None


def _used(row: BudgetRow | RateLimitRow, side: MetricColumns, remarks: list[str]) -> int:
    """Return the usage of one metric, in nano-dollars (billionths of a dollar), tokens or requests.

    Larger usage is reduced to `money.MAX_LIMIT`. Append remarks to `remarks`.
    """
    value = getattr(row, side.usage)
    used = coercion.nanos(value) if side is COST else coercion.count(value)
    if used is None:
        if value is not None:
            remarks.append(f"{side.usage} is {_shown(value)}, which is no amount: it starts at 0.")
        return 0
    if used != coercion.number(value) * (money.NANOS if side is COST else 1):
        remarks.append(ROUNDED if side is COST else f"{side.usage} is {_shown(value)}: it was rounded up.")
    return min(used, money.MAX_LIMIT)


def _budget_remarks(row: BudgetRow) -> Iterable[str]:
    if coercion.flag(row.calendar_aligned) not in (None, "", False, True):
        yield f"calendar_aligned is {_shown(row.calendar_aligned)}, which is neither true nor false: it is not taken."
    if row.override_mode:
        amount, mode = _shown(row.override_amount), _shown(row.override_mode)
        yield f"Its override (amount {amount}, mode {mode}) is not taken: its own maximum holds."
    if row.reset_config_json and str(row.reset_duration).endswith("Q"):
        yield OF_JANUARY
