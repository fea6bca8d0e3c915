"""What reading pages has taught about the limits: how many pass a filter, and which row stands at an offset.

It holds for one config revision, since only a management write can change it; so a total is counted once, and a deep
page begins at the nearest row that is known instead of at the first.
"""

from bisect import bisect_right, insort
from threading import Lock
from typing import Any, NamedTuple

from cachetools import LRUCache
from sqlalchemy.engine import Connection

from governance.domain.records.pages import Order
from governance.storage import revisions

KEPT = 256
MOST_PLACES = 1000
SPACING = 20
"""Rows between two places that are worth keeping."""

Values = tuple[tuple[str, str], ...]
"""The conditions of a filter: (name, value)."""


class Place(NamedTuple):
    """A row of an order: its offset, what it is sorted by, and its id."""

    offset: int
    value: Any
    id: str


class Learnt:
    """All that is known of one revision of one file."""

    def __init__(self) -> None:
        self._totals: LRUCache[Values, int] = LRUCache(KEPT)
        self._places: LRUCache[tuple[Values, Order], list[Place]] = LRUCache(KEPT)
        self._lock = Lock()

    def total(self, wanted: Values) -> int | None:
        """How many limits pass, where that was counted."""
        with self._lock:
            return self._totals.get(wanted)

    def count(self, wanted: Values, total: int) -> None:
        """Note how many limits pass."""
        with self._lock:
            self._totals[wanted] = total

    def before(self, wanted: Values, order: Order, offset: int) -> Place | None:
        """The last known row up to an offset."""
        with self._lock:
            return _before(self._places.get((wanted, order), []), offset)

    def stand(self, wanted: Values, order: Order, place: Place) -> None:
        """Note where a row stands, unless one close before it is known."""
        with self._lock:
            places = self._places.setdefault((wanted, order), [])
            nearest = _before(places, place.offset)
            if place.offset - (nearest.offset if nearest else 0) >= SPACING and len(places) < MOST_PLACES:
                insort(places, place)


class Learning:
    """What was learnt at the last revision that was read."""

    def __init__(self) -> None:
        self._at: object = None
        self._learnt = Learnt()
        self._lock = Lock()

    def of(self, connection: Connection) -> Learnt:
        """What is known of the revision, and the file, that this transaction sees."""
        at = (connection.info["file"], revisions.current(connection))
        with self._lock:
            if self._at != at:
                self._at, self._learnt = at, Learnt()
            return self._learnt


def _before(places: list[Place], offset: int) -> Place | None:
    index = bisect_right(places, offset, key=lambda place: place.offset)
    return places[index - 1] if index else None
