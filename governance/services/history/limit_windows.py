"""Reads the current and past time windows of a limit, and computes a forecast for each rule of the limit.

A rule sets a maximum of dollars, tokens or requests in each window. A counter contains the usage in one window.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.history.forecast import Forecast, forecast
from governance.domain.history.windows import CountedWindow, comparable
from governance.domain.limits.item_matching import RuleKey
from governance.domain.limits.limit import Counter, Counters, Limit, LimitState, Rule, current
from governance.domain.limits.windows import Alignment, Window
from governance.domain.records.list_query import Page
from governance.domain.times import Clock
from governance.services.limits.lookups import stored
from governance.storage.history import windows
from governance.storage.limits import states
from governance.storage.store import Database

GIVE_AN_ID = ": give the id of a limit, as the list of limits shows it."


class CurrentRule(NamedTuple):
    """A rule of a limit, and its current window."""

    rule: Rule
    alignment: Alignment
    window: Counter


class LimitWindows:
    """Reads the windows of a limit."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self, limit_id: str, rule_id: str | None, metric: str | None, page: Page
    ) -> tuple[list[CountedWindow], int, int]:
        """Return a page of the windows with usage, newest first, the number of all such windows, and the present time.

        Raises NotFound.
        """
        with self._database.read() as connection:
            stored(connection, limit_id, GIVE_AN_ID)
            return *windows.page(connection, limit_id, rule_id, metric, page), self._clock()

    def forecasts(self, limit_id: str) -> list[Forecast]:
        """Return the forecast for each rule of a limit, in the order of its rules. Raises NotFound."""
        with self._database.read() as connection:
            return _forecasts(connection, [stored(connection, limit_id, GIVE_AN_ID)], self._clock())[limit_id]

    def forecasts_of(self, limit_ids: Sequence[str]) -> dict[str, list[Forecast]]:
        """Return the forecasts of several limits by limit id, read in one transaction. Unknown ids are left out."""
        with self._database.read() as connection:
            return _forecasts(connection, list(states.by_ids(connection, limit_ids).values()), self._clock())


def _forecasts(connection: Connection, limits: Iterable[LimitState], now: int) -> dict[str, list[Forecast]]:
    """Return the forecasts of limits by limit id. Two SQL statements read the windows of all rules of these limits."""
    rules = {limit.id: list(_in_current_window(limit, counters, now)) for limit, counters, _ in limits}
    first = windows.first_starts(connection, list(rules))
    every = [(each, _comparable(each, first.get(each.rule.key))) for found in rules.values() for each in found]
    counted = windows.at_starts(connection, [(each.rule, span.start) for each, spans in every for span in spans])
    past = {each.rule.key: [_counted(each.rule, span, counted) for span in spans] for each, spans in every}
    return {
        limit_id: [forecast(rule, window, past[rule.key], now) for rule, _, window in found]
        for limit_id, found in rules.items()
    }


def _in_current_window(limit: Limit, counters: Counters, now: int) -> Iterator[CurrentRule]:
    for rule, counter in zip(limit.rules, counters, strict=True):
        yield CurrentRule(rule, limit.alignment, current(rule, limit.alignment, counter, now))


def _comparable(given: CurrentRule, first: int | None) -> list[Window]:
    """Return the past windows with which the current window of a rule is compared.

    `first` is the start of the oldest stored window. Windows before it are left out.
    """
    rule, alignment, window = given
    spans = comparable(rule, alignment, Window(window.start, window.end))
    return [span for span in spans if first is not None and span.start >= first]


def _counted(rule: Rule, span: Window, counted: Mapping[tuple[RuleKey, int], CountedWindow]) -> CountedWindow:
    """Return a past window with its usage. If no counter is stored for the window, the usage is 0."""
    unused = CountedWindow(rule.id, rule.metric, span.start, span.end, 0, 0, rule.max_limit)
    return counted.get((rule.key, span.start), unused)
