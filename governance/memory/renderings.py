"""The limits' JSON, kept from one read to the next: bounded in bytes, the oldest goes first.

First in, first out, and not least recently used: so a hit writes nothing, and readers need no lock.
"""

from threading import Lock

from governance.domain.limits import Scoped
from schemas import render
from schemas.render import Rendering

OVERHEAD = 400
"""What keeping one rendering takes beside its bytes."""


class Renderings:
    """Renderings by limit, each kept until its entry is replaced, its time is over, or room is needed."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._kept: dict[str, tuple[Scoped, Rendering]] = {}
        self._lock = Lock()

    def of(self, entry: Scoped, now: int) -> Rendering:
        """The rendering of an entry at `now`."""
        kept = self._kept.get(entry.limit.id)
        if kept is not None and kept[0] is entry and kept[1].valid_from <= now < kept[1].valid_until:
            return kept[1]
        rendering = render.limit(entry, now)
        self._keep(entry, rendering)
        return rendering

    def _keep(self, entry: Scoped, rendering: Rendering) -> None:
        with self._lock:
            self._drop(entry.limit.id)
            self._kept[entry.limit.id] = (entry, rendering)
            self._held += len(rendering.body) + OVERHEAD
            while self._held > self._most:
                self._drop(next(iter(self._kept)))

    def _drop(self, limit_id: str) -> None:
        dropped = self._kept.pop(limit_id, None)
        if dropped is not None:
            self._held -= len(dropped[1].body) + OVERHEAD
