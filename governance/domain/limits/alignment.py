"""A budget may say itself whether its window follows the calendar: that is a setting of its limit as a whole.

So it is the limit's where the limit says nothing itself, and refused where the two differ.
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
    """What a budget or rate limit says of the calendar: where, what, and of which windows."""

    path: str
    aligned: bool
    windows: tuple[Duration, ...]

    @property
    def alignable(self) -> bool:
        """Whether any of its windows could follow the calendar."""
        return any(window.alignable for window in self.windows)


def limit_flag(given: bool | None, said: Iterable[CalendarSetting]) -> tuple[bool | None, list[Fault]]:
    """The calendar flag of a limit, from what is given for it and what its items say; and what is wrong with these."""
    every = list(said)
    telling = [each for each in every if each.alignable]
    flag = next((each.aligned for each in telling), None) if given is None else given
    faults = [Fault(each.path, _never(each.windows)) for each in every if each.aligned and not each.alignable]
    return flag, [*faults, *(Fault(each.path, CONTRARY) for each in telling if each.aligned != flag)]


def _never(windows: Sequence[Duration]) -> str:
    return NEVER.format(" and ".join(window.text for window in windows))
