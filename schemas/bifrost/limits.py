"""Converts the budgets and rate limits of one model limit of Bifrost, and reports those that cannot be imported.

A *row* is a budget or a rate limit in Bifrost's database. An *item* is a row in the form that the import stores. A part
of an item is one maximum in a window.
"""

import re
from typing import NamedTuple

from governance.domain import coercion
from governance.domain.bifrost.candidates import CandidateItem, ImportNote
from governance.domain.bifrost.grouping import LimitRows
from governance.domain.bifrost.rows import BudgetRow
from governance.domain.limits.drafts import RuleSpec
from governance.domain.limits.limit import MAX_ITEMS
from schemas.bifrost.budgets_and_rate_limits import is_blocking, is_lost, item_of

NOTHING_SET = "It sets no maximum."
CROWDED = f"A limit has at most {MAX_ITEMS} budgets and {MAX_ITEMS} rate limits here."
ROLLS = "Its windows roll in Bifrost; here they follow the calendar, as a budget of the same limit does."
ALIGNABLE = re.compile("[0-9]+[dwMQY]")


class ReadRules(NamedTuple):
    """The budgets and rate limits of a limit: `items` are imported, `left_out` are not, with the reasons.

    `lost` contains the budgets and rate limits with at least one maximum that is not imported. `blocking` contains the
    budgets and rate limits whose maximum is so small that Bifrost refuses every call. `aligned` is true if a budget
    itself has calendar windows, even if the limit has none.
    """

    items: tuple[CandidateItem, ...]
    left_out: list[ImportNote]
    lost: list[ImportNote]
    blocking: list[ImportNote]
    aligned: bool


def items_of(rows: LimitRows, limit: str, now: int) -> ReadRules:
    """Convert the budgets and rate limits of a limit, and decide which of them are imported."""
    flagged = [row for row in rows.budgets if _is_flagged(row)]
    aligned = coercion.flag(rows.row.calendar_aligned) is True
    result = ReadRules((), [], [], [], aligned=bool(flagged))
    for group in (rows.budgets, rows.rate_limits):
        items = []
        for row in group:
            item = item_of(row, limit, now, aligned=aligned or bool(flagged))
            result.lost.extend([item.note] if is_lost(row, item) else [])
            result.blocking.extend([item.note] if is_blocking(row) else [])
            rolls = bool(flagged) and not aligned and row not in flagged and _is_alignable(item)
            items.append(item._replace(rolling=True, note=item.note.saying(ROLLS)) if rolls else item)
        items = _tightest(items)
        valid = [item for item in items if item.parts]
        invalid = [item.note.left_out(*(item.note.remarks or [NOTHING_SET])) for item in items if not item.parts]
        result.left_out.extend([*invalid, *(item.note.left_out(CROWDED) for item in valid[MAX_ITEMS:])])
        result.lost.extend(item.note for item in valid[MAX_ITEMS:])
        result = result._replace(items=(*result.items, *valid[:MAX_ITEMS]))
    return result


def _is_flagged(row: BudgetRow) -> bool:
    """Return whether a budget itself sets `calendar_aligned` to true, and its window can follow the calendar."""
    return coercion.flag(row.calendar_aligned) is True and ALIGNABLE.fullmatch(str(row.reset_duration)) is not None


def _is_alignable(item: CandidateItem) -> bool:
    return any(part.ceiling.duration.alignable for part in item.parts)


def _tightest(items: list[CandidateItem]) -> list[CandidateItem]:
    """Remove parts of items: of the parts with the same metric and window length, keep only one.

    Keep the part with the lowest maximum. If several parts have this maximum, keep the first of these.
    Return all items. An item may have no parts afterwards.
    """
    best: dict[tuple[str, int], tuple[int, int]] = {}
    for index, item in enumerate(items):
        for ceiling, *_ in item.parts:
            key = _window(ceiling)
            best[key] = min(best.get(key, (ceiling.max_limit, index)), (ceiling.max_limit, index))
    return [_without_looser(item, index, best) for index, item in enumerate(items)]


def _without_looser(item: CandidateItem, index: int, best: dict[tuple[str, int], tuple[int, int]]) -> CandidateItem:
    kept = tuple(part for part in item.parts if best[_window(part.ceiling)][1] == index)
    dropped = [part.ceiling for part in item.parts if part not in kept]
    remarks = [
        f"Its limit has a lower or equal maximum of {each.metric} in a window as long as {each.duration.text}."
        for each in dropped
    ]
    return item._replace(parts=kept, note=item.note.saying(*remarks)) if dropped else item


def _window(ceiling: RuleSpec) -> tuple[str, int]:
    return ceiling.metric, ceiling.duration.length
