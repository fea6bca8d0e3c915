"""Whether the service can do its work now, and what its operator should look at."""

from typing import NamedTuple

from governance.domain.errors import GovernanceError
from governance.domain.times import DAY, Clock
from governance.memory.cache import SnapshotCache
from governance.storage import counters, migrations
from governance.storage.database import Database


class Health(NamedTuple):
    """Reasons why the service is not ready (none: it is), and warnings that do not keep it from working."""

    reasons: list[str]
    warnings: list[str]


class HealthCheck:
    """Looks at the database, its schema, the memory, and the clock."""

    def __init__(self, database: Database, cache: SnapshotCache, clock: Clock) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock
        self._schema = migrations.head()

    def look(self) -> Health:
        """The state of things now. Says nothing of limits, names or keys: anyone may ask."""
        health = Health([], [])
        for check in (self._look_at_database, self._look_at_memory):
            try:
                check(health)
            except GovernanceError as error:
                health.reasons.append(error.message)
        return health

    def _look_at_database(self, health: Health) -> None:
        with self._database.read() as connection:
            schema = migrations.current_revision(connection)
            ahead = counters.furthest_ahead(connection, self._clock())
        if schema != self._schema:
            health.reasons.append(f"The schema is {schema}, this code wants {self._schema}: restart the service.")
        if ahead is not None:
            days = (ahead.window_start - self._clock()) // DAY
            health.warnings.append(
                f"A counter starts {days} days ahead of the clock: check the clock, then PUT reset_usage: true "
                "on the limit whose last_reset lies in the future."
            )

    def _look_at_memory(self, health: Health) -> None:
        known = self._cache.get()
        error = self._cache.last_error
        if error is not None:
            age = round(self._cache.age(known))
            cause = error.message if isinstance(error, GovernanceError) else "see the log"
            health.warnings.append(f"The memory is {age} s old, since its last refresh failed: {cause}")
