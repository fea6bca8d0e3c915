"""Counts the attempts to sign in, by IP address. The counts are in the database, so all workers share them."""

from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

from cachetools import TTLCache
from sqlalchemy.engine import Connection

from governance.domain.errors import Unavailable
from governance.domain.times import MINUTE, SECOND, Clock
from governance.storage.keys import sign_in_attempts
from governance.storage.store import Database

MOST_ATTEMPTS = 10
WITHIN = MINUTE
"""The time in microseconds for which attempts from one address are counted."""
MOST_OWN = 10_000
"""The largest number of addresses whose attempts a worker counts in its own memory."""
NETWORK = 64
"""The length in bits of the IPv6 network that a provider assigns to one customer."""


class SignInAttempts:
    """The attempts of the last minute. If the database cannot be written, each worker counts its attempts in memory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._own: TTLCache[str, list[int]] = TTLCache(MOST_OWN, WITHIN, clock)
        self._lock = Lock()

    def wait(self, address: str) -> int:
        """Record an attempt and return 0.

        If the address must wait, return the number of seconds until it may try again. Such a refused attempt writes
        nothing to the database, so it does not delay the writes of decisions about calls.
        """
        place = _place(address)
        try:
            return self._wait(place)
        except Unavailable:
            return self._own_wait(place)

    def _wait(self, place: str) -> int:
        with self._database.read() as connection:
            wait = _stored_wait(connection, place, self._clock())
        if wait:
            return wait
        with self._database.write() as connection:
            now = self._clock()  # read under the write lock: `add` deletes attempts later than `now`
            wait = _stored_wait(connection, place, now)
            if not wait:
                sign_in_attempts.add(connection, place, now - WITHIN, now)
            return wait

    def _own_wait(self, place: str) -> int:
        with self._lock:
            now = self._clock()
            since = now - WITHIN
            times = [each for each in self._own.get(place, ()) if since < each <= now]
            wait = _left(times, since)
            if not wait:
                self._own[place] = [now, *times]
            return wait


def _stored_wait(connection: Connection, place: str, now: int) -> int:
    since = now - WITHIN
    return _left(sign_in_attempts.times(connection, place, since, now, MOST_ATTEMPTS), since)


def _left(times: list[int], since: int) -> int:
    """Return the seconds until the oldest of ten attempts is a minute old, rounded up. Return 0 for fewer attempts."""
    return -((since - times[-1]) // SECOND) if len(times) == MOST_ATTEMPTS else 0


def _place(address: str) -> str:
    """Return the address or network under which attempts are counted.

    For IPv6, it is a network, because one customer can use all addresses of the network.
    """
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(ip_network((known, NETWORK), strict=False))
    return str(known)
