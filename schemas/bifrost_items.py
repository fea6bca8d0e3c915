"""Bifrost's budgets and rate limits as ours, with what was used of them and since when."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from governance.domain import loose, money
from governance.domain.arrivals import Item, Kind, Part, Told
from governance.domain.bifrost import Whole
from governance.domain.bifrost_rows import BudgetRow, RateLimitRow
from governance.domain.edits import Ceiling
from governance.domain.errors import InvalidRequest
from governance.domain.limits import MAX_ITEMS, Metric
from schemas.loading import load
from schemas.model_limits import BudgetBody, RateLimitBody

LONGEST_SHOWN = 60
SHA256 = re.compile("[0-9a-fA-F]{64}")

NOTHING_SET = "It sets no maximum."
ROUNDED = "Its usage was rounded to the billionth of a dollar."
CROWDED = f"A limit has at most {MAX_ITEMS} budgets and {MAX_ITEMS} rate limits here."
SEVERAL = re.compile("0*(?:[2-9]|[1-9][0-9]+)[dwMQY]")
MULTIPLE = "Bifrost ends a calendar window of several periods after the first; here it lasts for all of them."
OF_JANUARY = "Quarters begin in January, April, July and October here, whatever its reset_config says."


class Side(NamedTuple):
    """What a row says of one metric: the names of its columns, which are those of our fields."""

    metric: Metric
    maximum: str
    duration: str
    usage: str
    last_reset: str


COST = Side(Metric.COST, "max_limit", "reset_duration", "current_usage", "last_reset")
RATES = tuple(
    Side(metric, f"{word}_max_limit", f"{word}_reset_duration", f"{word}_current_usage", f"{word}_last_reset")
    for metric, word in ((Metric.TOKENS, "token"), (Metric.REQUESTS, "request"))
)
SCHEMAS = {
    side: (BudgetBody if side is COST else RateLimitBody)(only=("id", side.maximum, side.duration))
    for side in (COST, *RATES)
}
"""What judges each side: no more of a body than a row has, since thousands of rows are judged."""
METRICS = (None, "", *(side.metric for side in RATES))


def items(whole: Whole, limit: str, now: int) -> tuple[tuple[Item, ...], list[Told]]:
    """The budgets and rate limits of a limit as they can be here, and those that cannot with the reasons."""
    taken: list[Item] = []
    left_out: list[Told] = []
    aligned = loose.flag(whole.row.calendar_aligned) is True
    for rows in (whole.budgets, whole.rate_limits):
        found = _tightest([_item(row, limit, now, aligned=aligned) for row in rows])
        good = [item for item in found if item.parts]
        taken += good[:MAX_ITEMS]
        left_out += [item.told.left_out(*(item.told.remarks or [NOTHING_SET])) for item in found if not item.parts]
        left_out += [item.told.left_out(CROWDED) for item in good[MAX_ITEMS:]]
    return tuple(taken), left_out


def told_item(row: BudgetRow | RateLimitRow, limit: str = "") -> Told:
    """A budget or rate limit before anything became of it; its name says what it allows."""
    allows = [
        f"{_shown_maximum(side, row)} in {getattr(row, side.duration)}"
        for side in _sides(row)
        if getattr(row, side.maximum) is not None
    ]
    name = ", ".join(allows) or "nothing"
    kind = Kind.BUDGET if isinstance(row, BudgetRow) else Kind.RATE_LIMIT
    return Told(kind, id_text(row), f"{name} on {limit}" if limit else name)


def reasons(error: InvalidRequest, row: tuple[Any, ...]) -> list[str]:
    """Why a row was refused: each value with what our field would have."""
    found = []
    for param, message, _ in error.faults:
        value = getattr(row, param or "", None)
        found.append(message if value is None else f"{param} is {_shown(value)}: {message[0].lower()}{message[1:]}")
    return found


def id_text(row: Any) -> str:
    """The id of a row; empty, which every schema refuses, where it has none."""
    return "" if row.id is None else str(row.id).strip()


def sha256(value: Any) -> str | None:
    """A SHA-256 in hex, as we write it; None where it is none."""
    return value.lower() if isinstance(value, str) and SHA256.fullmatch(value) else None


def times(row: Any, now: int) -> tuple[int, int]:
    """When a row was created and last changed; now, where that cannot be read."""
    created_at = _instant(row.created_at, now)
    return created_at, _instant(row.updated_at, created_at)


def _instant(value: Any, otherwise: int) -> int:
    try:
        known = loose.instant(value)
    except ValueError:
        known = None
    return otherwise if known is None else known


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _shown_maximum(side: Side, row: BudgetRow | RateLimitRow) -> str:
    value = loose.number(getattr(row, side.maximum))
    if side is COST:
        return f"${money.dollars(nanos)}" if (nanos := loose.nanos(value)) is not None else f"${value}"
    return f"{value} {side.metric}"


def _sides(row: BudgetRow | RateLimitRow) -> Sequence[Side]:
    """Of which metrics a row may speak; a later rate limit speaks of the one that it names."""
    if isinstance(row, BudgetRow):
        return (COST,)
    return [side for side in RATES if not row.metric or row.metric == side.metric]


def _item(row: BudgetRow | RateLimitRow, limit: str, now: int, *, aligned: bool) -> Item:
    """A row with as much of it as can be here: no parts where nothing can, and then its remarks say why."""
    remarks: list[str] = []
    parts = [part for side in _sides(row) if (part := _part(row, side, remarks)) is not None]
    if aligned and any(SEVERAL.fullmatch(str(getattr(row, side.duration))) for side in _sides(row)):
        remarks.append(MULTIPLE)
    if isinstance(row, BudgetRow):
        remarks += _budget_remarks(row)
    elif row.metric not in METRICS:
        remarks.append(f"metric is {_shown(row.metric)}: only tokens and requests are counted here.")
    told = told_item(row, limit).saying(*remarks)
    return Item(told, tuple(parts), sha256(row.config_hash), *times(row, now))


def _part(row: BudgetRow | RateLimitRow, side: Side, remarks: list[str]) -> Part | None:
    """What a row says of one metric; None, and a remark where there is a reason, if that cannot be here."""
    maximum, duration = getattr(row, side.maximum), getattr(row, side.duration)
    if maximum is None and side is not COST:
        return None
    body = {
        "id": id_text(row),
        side.maximum: loose.dollars(maximum) if side is COST else loose.number(maximum),
        side.duration: loose.duration(duration),
    }
    try:
        wanted = load(SCHEMAS[side], body)
    except InvalidRequest as error:
        remarks += reasons(error, row)
        return None
    if body[side.maximum] != loose.number(maximum):
        remarks.append(f"Its maximum of {_shown(maximum)} was rounded to the billionth of a dollar.")
    if body[side.duration] != duration:
        remarks.append(f"{duration} is written {body[side.duration]} here.")
    return Part(wanted.ceilings[0], _began(row, side, remarks), _used(row, side, remarks))


def _began(row: BudgetRow | RateLimitRow, side: Side, remarks: list[str]) -> int | None:
    value = getattr(row, side.last_reset)
    try:
        return loose.instant(value)
    except ValueError:
        remarks.append(f"{side.last_reset} is {_shown(value)}, which is no time.")
        return None


def _used(row: BudgetRow | RateLimitRow, side: Side, remarks: list[str]) -> int:
    """What was used, in nano-dollars, tokens or requests, as much as a counter may hold."""
    value = getattr(row, side.usage)
    used = loose.nanos(value) if side is COST else loose.count(value)
    if used is None:
        if value is not None:
            remarks.append(f"{side.usage} is {_shown(value)}, which is no amount: it starts at 0.")
        return 0
    if used != loose.number(value) * (money.NANOS if side is COST else 1):
        remarks.append(ROUNDED if side is COST else f"{side.usage} is {_shown(value)}: it was rounded up.")
    return min(used, money.MAX_LIMIT)


def _budget_remarks(row: BudgetRow) -> Iterable[str]:
    if row.override_mode:
        amount, mode = _shown(row.override_amount), _shown(row.override_mode)
        yield f"Its override (amount {amount}, mode {mode}) is not taken: its own maximum holds."
    if row.reset_config_json and str(row.reset_duration).endswith("Q"):
        yield OF_JANUARY


def _tightest(found: list[Item]) -> list[Item]:
    """The items without what another of them says of the same window with a lower maximum."""
    best: dict[tuple[str, int], tuple[int, int]] = {}
    for index, item in enumerate(found):
        for ceiling, *_ in item.parts:
            key = _window(ceiling)
            best[key] = min(best.get(key, (ceiling.max_limit, index)), (ceiling.max_limit, index))
    return [_without_looser(item, index, best) for index, item in enumerate(found)]


def _without_looser(item: Item, index: int, best: dict[tuple[str, int], tuple[int, int]]) -> Item:
    kept = tuple(part for part in item.parts if best[_window(part.ceiling)][1] == index)
    dropped = [part.ceiling for part in item.parts if part not in kept]
    remarks = [
        f"Its limit has a lower or equal maximum of {each.metric} in a window as long as {each.duration.text}."
        for each in dropped
    ]
    return item._replace(parts=kept, told=item.told.saying(*remarks)) if dropped else item


def _window(ceiling: Ceiling) -> tuple[str, int]:
    return ceiling.metric, ceiling.duration.length
