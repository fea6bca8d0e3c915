"""Counts the attempts to sign in, by address. All workers count together, in the database."""

from ipaddress import IPv6Address, ip_address, ip_network

from governance.domain.times import MINUTE, SECOND, Clock
from governance.storage.keys import sign_in_attempts
from governance.storage.store import Database

MOST_ATTEMPTS = 10
WITHIN = MINUTE
"""The time in microseconds for which attempts from one address are counted."""
NETWORK = 64
"""The length in bits of the IPv6 network that a provider assigns to one customer."""


class SignInAttempts:
    """The attempts of the last minute."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def wait(self, address: str) -> int:
        """Record an attempt and return 0. Raises Unavailable.

        If the address must wait, return the number of seconds until it may try again. Such an attempt writes nothing,
        so refused attempts do not delay decisions.
        """
        place, now = _place(address), self._clock()
        since = now - WITHIN
        with self._database.read() as connection:
            wait = _wait(sign_in_attempts.times(connection, place, since, now, MOST_ATTEMPTS), since)
        if wait:
            return wait
        with self._database.write() as connection:
            wait = _wait(sign_in_attempts.times(connection, place, since, now, MOST_ATTEMPTS), since)
            if not wait:
                sign_in_attempts.add(connection, place, since, now)
            return wait


def _wait(times: list[int], since: int) -> int:
    """Return the seconds until the oldest of ten attempts is a minute old, rounded up."""
    return -((since - times[-1]) // SECOND) if len(times) == MOST_ATTEMPTS else 0


def _place(address: str) -> str:
    """Return the address or network under which attempts are counted. An IPv6 customer has a whole network."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(ip_network((known, NETWORK), strict=False))
    return str(known)
