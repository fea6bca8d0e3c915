"""A cache of the JSON of limits. The JSON of one limit is called its rendering.

The size of the cache in bytes is limited. If the cache is full, the oldest renderings are removed. A read does not
change the order of the renderings. So a read writes nothing, and needs no lock.
"""

from collections.abc import Iterable
from threading import Lock

from governance.domain.limits.limit import LimitState
from schemas import render
from schemas.render import Rendering

OVERHEAD = 400
"""The number of bytes that a cached rendering needs besides its body."""


class Renderings:
    """Renderings by the id of the limit.

    A rendering is replaced if the limit has changed, or if the rendering is no longer valid because a time window has
    ended. It is removed if the cache is full.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._kept: dict[str, tuple[LimitState, Rendering]] = {}
        self._lock = Lock()

    def page(self, entries: Iterable[LimitState], now: int) -> list[Rendering]:
        """Return the renderings of several limits at `now`."""
        kept, page = self._kept.get, []
        for entry in entries:
            known, rendering = kept(entry.limit.id, (None, None))
            if rendering is None or known is not entry or not rendering.valid_from <= now < rendering.valid_until:
                rendering = self.of(entry, now)
            page.append(rendering)
        return page

    def of(self, entry: LimitState, now: int) -> Rendering:
        """Return the rendering of a limit at `now`.

        If the limit equals the cached limit and the cached rendering is still valid, return the cached rendering.
        """
        known, rendering = self._kept.get(entry.limit.id, (None, None))
        if rendering is None or not rendering.valid_from <= now < rendering.valid_until:
            return self._keep(entry, render.limit(entry, now))
        if known is entry:
            return rendering
        return self._keep(entry, rendering if known == entry else render.limit(entry, now))

    def _keep(self, entry: LimitState, rendering: Rendering) -> Rendering:
        with self._lock:
            _, replaced = self._kept.pop(entry.limit.id, (None, None))
            if replaced is not None:
                self._held -= len(replaced.body) + OVERHEAD
            self._kept[entry.limit.id] = (entry, rendering)
            self._held += len(rendering.body) + OVERHEAD
            while self._held > self._most:
                _, oldest = self._kept.pop(next(iter(self._kept)))
                self._held -= len(oldest.body) + OVERHEAD
        return rendering
