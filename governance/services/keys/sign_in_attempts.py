"""Counts the attempts to sign in, by address."""

from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from threading import Lock

from cachetools import TTLCache

MOST_ATTEMPTS = 10
WITHIN = 60.0
"""The number of seconds for which attempts from one address are counted."""
MOST_ADDRESSES = 10_000
NETWORK = 64
"""The length in bits of the IPv6 network that a provider assigns to one customer."""


class SignInAttempts:
    """The attempts of the last minute. `timer` counts seconds."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._lock = Lock()
        self._known: TTLCache[str, deque[float]] = TTLCache(MOST_ADDRESSES, WITHIN, timer)

    def wait(self, address: str) -> int:
        """Record an attempt and return 0.

        If the address must wait, return the number of seconds until it may try again.
        """
        place, now = _place(address), self._timer()
        with self._lock:
            times = self._known.get(place) or deque(maxlen=MOST_ATTEMPTS)
            left = times[0] + WITHIN - now if len(times) == MOST_ATTEMPTS else 0.0
            if left > 0:
                return ceil(left)
            times.append(now)
            self._known[place] = times
            return 0


def _place(address: str) -> str:
    """Return the address or network under which attempts are counted. An IPv6 customer has a whole network."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(ip_network((known, NETWORK), strict=False))
    return str(known)
