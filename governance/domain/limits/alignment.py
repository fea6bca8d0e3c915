"""Combines the `calendar_aligned` settings of a limit and of its items (budgets and rate limits) into one setting.

`calendar_aligned` says whether windows follow the calendar. It is one setting for the whole limit. If the limit does
not set it, the value of an item applies to the limit. An item whose value differs from the limit's value is a fault.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from governance.domain.errors import Fault
from governance.domain.limits.durations import Duration

CONTRARY = (
    "Give calendar_aligned once, for the limit as a whole: either all of its windows follow the calendar or none does."
)
NEVER = (
    "Leave calendar_aligned out, or give the window as a whole number of d, w, M or Y, such as 1d or 1M: "
    "{} cannot be aligned to the calendar."
)


class CalendarSetting(NamedTuple):
    """`calendar_aligned` of one budget or rate limit: its path in the body, its value, and the item's windows."""

    path: str
    aligned: bool
    windows: tuple[Duration, ...]

    @property
    def alignable(self) -> bool:
        """Whether at least one of the windows can follow the calendar."""
        return any(window.alignable for window in self.windows)


def limit_flag(given: bool | None, said: Iterable[CalendarSetting]) -> tuple[bool | None, list[Fault]]:
    """Return `calendar_aligned` of a limit, and the faults.

    `given` is the value that is set in the limit itself. `said` contains the values that are set in its items.
    """
    every = list(said)
    telling = [each for each in every if each.alignable]
    flag = next((each.aligned for each in telling), None) if given is None else given
    faults = [Fault(each.path, _never(each.windows)) for each in every if each.aligned and not each.alignable]
    return flag, [*faults, *(Fault(each.path, CONTRARY) for each in telling if each.aligned != flag)]


def _never(windows: Sequence[Duration]) -> str:
    return NEVER.format(" and ".join(window.text for window in windows))
