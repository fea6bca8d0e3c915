"""What the settle of a proxied call charged, and why it could not charge the usage."""

from enum import StrEnum


class Charged(StrEnum):
    """What a settle charged.

    `EARLIER` means that the reservation had ended before this settle, so the settle changed nothing.
    """

    USAGE = "usage"
    AS_HELD = "as_held"
    NOTHING = "nothing"
    EARLIER = "earlier"


class NoUsage(StrEnum):
    """The reason why the usage of a call cannot be read from the upstream's answer."""

    NO_BODY = "no body"
    NOT_TOLD = "no usage in the body"
    CUT_OFF = "body cut off"
    TOO_LARGE = "body too large"
    UNKNOWN_FORM = "unknown form"
    UNREADABLE = "usage that cannot be read"
