"""Parses the length of a time window of a limit.

Examples are `30s 5m 1h 1d 1w 1M 1Y`, decimals (`1.5d`), and combinations of hours, minutes and seconds (`1h30m`). In a
window that does not follow the calendar (a rolling window), a month is 30 days and a year is 365 days, as in the LLM
gateway Bifrost. The module `windows` computes the months and years of the calendar.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from governance.domain.times import DAY, HOUR, MINUTE, SECOND

LONGEST_TEXT = 40
SHORTEST = SECOND
LONGEST = 100 * 365 * DAY
EXAMPLES = "30s, 5m, 1h, 1h30m, 1d, 1.5d, 1w, 1M (a month), 1Y"

NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
PERIOD = re.compile(NUMBER + "([dwMY])")
CLOCK = re.compile(f"(?=.)(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?")
PERIODS = {"d": DAY, "w": 7 * DAY, "M": 30 * DAY, "Y": 365 * DAY}


class Duration(NamedTuple):
    """The length of a window, as text and in microseconds.

    If the text is a whole number of `d`, `w`, `M` or `Y`, `unit` is that letter and `multiple` is the number. Otherwise
    `unit` is empty, and the window cannot follow the calendar.
    """

    text: str
    length: int
    unit: str = ""
    multiple: int = 0

    @property
    def alignable(self) -> bool:
        """Whether this window can follow the calendar."""
        return self.unit != ""


@lru_cache(maxsize=4096)
def parse(text: str) -> Duration:
    """Parse `text` as a duration.

    Raises ValueError if `text` is not valid. The message of the error says to the user what is valid.
    """
    found = _period(text) or _clock(text) if len(text) <= LONGEST_TEXT else None
    if found is None:
        raise ValueError(f"must be a duration like {EXAMPLES}")
    if not SHORTEST <= found.length <= LONGEST:
        raise ValueError(f"must last from 1s to 100Y, like {EXAMPLES}")
    return found


def _period(text: str) -> Duration | None:
    match = PERIOD.fullmatch(text)
    if match is None:
        return None
    number, unit = Fraction(match[1]), match[2]
    length = int(number * PERIODS[unit])
    whole = number.denominator == 1
    return Duration(text, length, unit, int(number)) if whole else Duration(text, length)


def _clock(text: str) -> Duration | None:
    match = CLOCK.fullmatch(text)
    if match is None:
        return None
    parts = zip(match.groups(), (HOUR, MINUTE, SECOND), strict=True)
    return Duration(text, int(sum(Fraction(number) * unit for number, unit in parts if number)))
