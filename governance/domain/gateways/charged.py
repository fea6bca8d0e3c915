"""The values that say what was charged for a call through a proxy, and why its usage could not be charged.

The settle of a call ends its reservation, and charges what the call used.
"""

from enum import StrEnum


class Charged(StrEnum):
    """What a settle charged.

    A settle charges the reported usage (`USAGE`), the reserved amounts (`AS_HELD`), or nothing (`NOTHING`). `EARLIER`
    means that the reservation had ended before this settle, so the settle changed nothing.
    """

    USAGE = "usage"
    AS_HELD = "as_held"
    NOTHING = "nothing"
    EARLIER = "earlier"


class NoUsage(StrEnum):
    """The reason why the usage of a call cannot be read from the model's answer."""

    NO_BODY = "no body"
    NOT_TOLD = "no usage in the body"
    CUT_OFF = "body cut off"
    TOO_LARGE = "body too large"
    UNKNOWN_FORM = "unknown form"
    UNREADABLE = "usage that cannot be read"
