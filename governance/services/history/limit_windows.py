"""The current and past windows of a limit, and the forecast for each of its rules."""

from collections.abc import Iterator

from sqlalchemy.engine import Connection

from governance.domain.history.forecast import Forecast, forecast
from governance.domain.history.windows import CountedWindow, comparable
from governance.domain.limits.limit import Counter, Rule, current
from governance.domain.limits.windows import Alignment, Window
from governance.domain.records.list_query import Page
from governance.domain.times import Clock
from governance.services.limits.lookups import stored
from governance.storage.history import windows
from governance.storage.store import Database

GIVE_AN_ID = ": give the id of a limit, as the list of limits shows it."


class LimitWindows:
    """Reads the windows of a limit."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self, limit_id: str, rule_id: str | None, metric: str | None, page: Page
    ) -> tuple[list[CountedWindow], int, int]:
        """Return a page of the windows with usage, newest first, the number of all such windows, and the time.

        Raises NotFound.
        """
        with self._database.read() as connection:
            stored(connection, limit_id, GIVE_AN_ID)
            return *windows.page(connection, limit_id, rule_id, metric, page), self._clock()

    def forecasts(self, limit_id: str) -> list[Forecast]:
        """Return the forecast for each rule of a limit, in the order of its rules. Raises NotFound."""
        now = self._clock()
        with self._database.read() as connection:
            limit, counters, _ = stored(connection, limit_id, GIVE_AN_ID)
            found = []
            for rule, counter in zip(limit.rules, counters, strict=True):
                window = current(rule, limit.alignment, counter, now)
                past = list(_past(connection, rule, limit.alignment, window))
                found.append(forecast(rule, window, past, now))
            return found


def _past(connection: Connection, rule: Rule, alignment: Alignment, window: Counter) -> Iterator[CountedWindow]:
    """Yield the past windows to compare with.

    If a window has no counter and is newer than the oldest stored one, its usage is 0.
    """
    first = windows.first_start(connection, rule)
    spans = [
        each
        for each in comparable(rule, alignment, Window(window.start, window.end))
        if first is not None and each.start >= first
    ]
    counted = windows.at_starts(connection, rule, [each.start for each in spans])
    for each in spans:
        unused = CountedWindow(rule.id, rule.metric, each.start, each.end, 0, 0, rule.max_limit)
        yield counted.get(each.start, unused)
