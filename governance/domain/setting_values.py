"""Functions that parse the values of settings, and functions that return the last part of an error message.

A function that parses a value raises ValueError if the value is not valid. The message says which values are valid.
"""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from zoneinfo import available_timezones

from governance.domain.addresses import without_secrets

Network = IPv4Network | IPv6Network
SHORTEST_ADMIN_KEY = 32
FEWEST_DIFFERENT = 8
SQLITE = "sqlite:///"


def text(value: str) -> str:
    """Return the text unchanged."""
    return value


def seconds(value: str) -> float:
    """Parse a duration in seconds."""
    number = float(value)
    if not 0 < number <= 24 * 3600:
        raise ValueError("a number of seconds above 0, at most a day")
    return number


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a function that parses a whole number in a range."""

    def read(value: str) -> int:
        number = int(value) if value.isascii() and value.isdigit() else least - 1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return read


def sqlite(value: str) -> str:
    """Check that a value is the URL of an SQLite file, and return it."""
    path = value.removeprefix(SQLITE)
    if path == value or not path or path.startswith(":memory:") or "?" in path:
        raise ValueError("sqlite:/// and a file's path, such as sqlite:///governance.db")
    return value


def admin_key(value: str) -> str:
    """Check an admin key, and return it. A short key is refused. A key with few different characters is refused too."""
    if len(value) < SHORTEST_ADMIN_KEY or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"at least {SHORTEST_ADMIN_KEY} visible ASCII characters")
    repeats_itself = value in (value + value)[1:-1]
    if len(set(value)) < FEWEST_DIFFERENT or repeats_itself:
        raise ValueError("characters that nobody can guess, such as openssl rand -hex 32 prints")
    return value


def timezone(value: str) -> str:
    """Check the name of a time zone, and return it."""
    if value not in available_timezones():
        raise ValueError("an IANA time zone, such as UTC, Europe/Berlin or America/New_York")
    return value


def networks(value: str) -> tuple[Network, ...]:
    """Parse a comma-separated list of IP addresses and networks."""
    try:
        return tuple(ip_network(part.strip()) for part in value.split(","))
    except ValueError as error:
        raise ValueError("addresses and networks such as 127.0.0.1, 10.0.0.0/8, separated by commas") from error


def one_of(*words: str) -> Callable[[str], str]:
    """Return a function that accepts only the given words."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(" or ".join(words))
        return value

    return read


def quoted(value: str) -> str:
    """Return the last part of the error message for a refused value. This part shows the value."""
    return f"'{value}' is not that"


def unquoted(_: str) -> str:
    """Return the last part of the error message for a refused secret. This part does not show the secret."""
    return "it is not that"


def url(value: str) -> str:
    """Return the last part of the error message for a refused URL. This part shows the URL without its secrets."""
    shown = without_secrets(value)
    return unquoted(value) if shown is None else quoted(shown)
