"""Limits by how much of them is used: changes with every count and with every window's end, so it is made on demand."""

from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from governance.domain.limits import usage_share
from governance.domain.pages import Filter
from governance.memory.snapshot import Snapshot

KEPT = 32
FOREVER = 2**62


class Ranking(NamedTuple):
    """Ids ascending by (share used, id): what one snapshot says from `valid_from` up to `valid_until`."""

    snapshot: Snapshot
    ids: list[str]
    valid_from: int
    valid_until: int


class Rankings:
    """The last rankings, each made once for a snapshot and the span in which no window ends."""

    def __init__(self) -> None:
        self._kept: LRUCache[Filter, Ranking] = LRUCache(KEPT)
        self._lock = Lock()

    def of(self, snapshot: Snapshot, wanted: Filter, now: int) -> Ranking:
        """The limits that pass, ascending. Not to be changed."""
        with self._lock:
            kept = self._kept.get(wanted)
            if kept is None or kept.snapshot is not snapshot or not kept.valid_from <= now < kept.valid_until:
                kept = self._kept[wanted] = rank(snapshot, wanted, now)
        return kept


def rank(snapshot: Snapshot, wanted: Filter, now: int) -> Ranking:
    """Rank at `now`: the unused by id, behind them the used by their share."""
    used = {limit_id: snapshot.entries[limit_id] for limit_id in snapshot.used}
    ends = [counter.end for entry in used.values() for counter in entry.counters if counter and counter.used]
    shares = {
        limit_id: share
        for limit_id, entry in used.items()
        if wanted.passes(entry.limit) and (share := usage_share(entry, now))
    }
    unused = [limit_id for limit_id in snapshot.orders.ids(wanted, "id") if limit_id not in shares]
    return Ranking(
        snapshot,
        unused + sorted(shares, key=lambda limit_id: (shares[limit_id], limit_id)),
        max((end for end in ends if end <= now), default=-FOREVER),
        min((end for end in ends if end > now), default=FOREVER),
    )
