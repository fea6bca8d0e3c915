"""The marshmallow fields that check times, lengths of time and time zones in input."""

import re
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from governance.domain import times
from governance.domain.history import moments
from governance.domain.history.moments import Moment
from governance.domain.limits import durations
from governance.domain.limits.durations import Duration
from schemas.fields import BaseField

LOST_PLUS = re.compile(" [0-9]{2}:[0-9]{2}$")
"""Matches the end of a time such as `+02:00` without its `+`. In a URL, an unescaped `+` means a space."""


class DurationField(BaseField):
    """The length of a window, for example `1d`. The loaded value is a Duration."""

    default_error_messages = {"duration": "Give {field} differently: it {reason}."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Duration:
        try:
            return durations.parse(value if isinstance(value, str) else "")
        except ValueError as error:
            raise self.make_error("duration", reason=error) from error


@cache
def zones() -> frozenset[str]:
    """Return the IANA time zones that this machine knows."""
    return frozenset(available_timezones())


class TimeZone(BaseField):
    """The IANA name of a time zone."""

    default_error_messages = {  # noqa: RUF012
        "zone": "Give {field} as an IANA time zone, such as UTC, Europe/Berlin or America/New_York.",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or value not in zones():
            raise self.make_error("zone")
        return ZoneInfo(value).key


class Instant(BaseField):
    """An RFC 3339 time. The loaded value is in microseconds since 1970."""

    default_error_messages = {  # noqa: RUF012
        "instant": "Give {field} as an RFC 3339 time, such as 2027-01-31T00:00:00Z.",
        "plus": "Write the + in {field} as %2B: in an address, + means a space.",
    }

    def read(self, text: str) -> Any:
        """Parse the text. Raises ValueError."""
        return times.parse_rfc3339(text)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = value if isinstance(value, str) else ""
        try:
            return self.read(text)
        except ValueError as error:
            raise self.make_error("plus" if LOST_PLUS.search(text) else "instant") from error


class MomentField(Instant):
    """An RFC 3339 time, a day, or a length of time before now. The loaded value is a Moment."""

    default_error_messages = {  # noqa: RUF012
        "instant": "Give {field} as a time such as 2027-01-31T00:00:00Z, as a day such as 2027-01-31, or as a while "
        "before now such as 30d or 12h."
    }

    def read(self, text: str) -> Moment:
        """Parse the text. Raises ValueError."""
        return moments.parse(text)
