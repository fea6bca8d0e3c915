"""Checks whether the service is ready, and collects warnings for the operator."""

from collections.abc import Callable
from shutil import disk_usage
from typing import NamedTuple

from governance.domain.errors import GovernanceError, NotReady
from governance.domain.installation import PROGRAM, START
from governance.domain.pricing.listed import ListInfo, ListStatus
from governance.domain.times import DAY, Clock
from governance.services.operations.throttle import Throttle
from governance.services.pricing.price_list import FAILED, PriceList
from governance.snapshot.cache import SnapshotCache
from governance.storage.limits import counters
from governance.storage.sqlite.files import migrations
from governance.storage.store import Database, MeteringStore

MISSING = (
    f"The database {{}} is missing: start the service once ({START}) where there never was one, run {PROGRAM} "
    "restore BACKUP where it was lost, or set GOVERNANCE_INSTANCE and GOVERNANCE_DATABASE_URL as the service has them."
)
MOST_LOOKS = 10
"""The largest number of checks per second, no matter how many clients ask."""
LEAST_FREE = 1024 * 1024
"""The number of free bytes that the disk must have.

A large batch of calls may add this many bytes to the journal of the database.
"""


class Health(NamedTuple):
    """The reasons why the service is not ready, and the warnings. If there are no reasons, the service is ready."""

    reasons: list[str]
    warnings: list[str]
    price_list: ListInfo
    now: int


class HealthCheck:
    """Checks the database, its schema, the snapshot, the clock, the disk, and whether decisions can be written.

    The snapshot is the copy of the database in a worker's memory.
    """

    def __init__(
        self, database: Database, cache: SnapshotCache, clock: Clock, store: MeteringStore, price_list: PriceList
    ) -> None:
        self._database = database
        self._cache = cache
        self._clock = clock
        self._store = store
        self._price_list = price_list
        self._schema = migrations.head()
        self._standing: list[str] = []
        self._looks = Throttle(self.look, MOST_LOOKS)

    def remember(self, warnings: list[str]) -> None:
        """Add these warnings to every later result.

        They were found at the start of the service, and stay until the next start.
        """
        self._standing = warnings

    def get(self) -> Health:
        """Return the health, which was computed less than a second ago."""
        return self._looks.get()

    def look(self) -> Health:
        """Return the current health. It contains no limits, names or keys, because anyone may read it."""
        info = self._price_list.info
        health = Health([], [*self._standing], info, self._clock())
        if info.status == ListStatus.FAILED:
            health.warnings.append(FAILED)
        _note(health, self._look_at_database)
        if not health.reasons:
            _note(health, self._look_at_writer)
        _note(health, self._look_at_memory)
        return health

    def refuse_unready(self) -> None:
        """Raise NotReady if the database is missing or has another schema.

        Commands call this function, because they do not create or migrate the database.
        """
        if not self._database.path.exists():
            raise NotReady(MISSING.format(self._database.path))
        with self._database.read() as connection:
            fault = migrations.fault(migrations.current_revision(connection), self._schema)
        if fault:
            raise NotReady(fault)

    def _look_at_database(self, health: Health) -> None:
        with self._database.read() as connection:
            schema = migrations.current_revision(connection)
            ahead = counters.furthest_ahead(connection, self._clock())
        fault = migrations.fault(schema, self._schema)
        if fault:
            health.reasons.append(fault)
        if ahead is not None:
            days = (ahead.window_start - self._clock()) // DAY
            health.warnings.append(
                f"A counter starts {days} days ahead of the clock: check the clock, then PUT reset_usage: true "
                "on the limit whose last_reset lies in the future."
            )

    def _look_at_writer(self, health: Health) -> None:
        """Add a reason if decisions cannot be written, or if the disk has no room for a large batch of calls."""
        free = disk_usage(self._database.path.parent).free
        if free < LEAST_FREE:
            health.reasons.append(f"Free some space: {free // 1024} KiB are left on the disk of the database.")
            return
        fault = self._store.fault()
        if fault is not None:
            health.reasons.append(fault)

    def _look_at_memory(self, health: Health) -> None:
        known = self._cache.get()
        error = self._cache.last_error
        if error is not None:
            age = round(self._cache.age(known))
            cause = error.message if isinstance(error, GovernanceError) else "see the log"
            health.warnings.append(f"The memory is {age} s old, since its last refresh failed: {cause}")


def _note(health: Health, check: Callable[[Health], None]) -> None:
    """Run a check. If it fails, add its error to the reasons."""
    try:
        check(health)
    except GovernanceError as error:
        health.reasons.append(error.message)
    except OSError as error:
        health.reasons.append(f"Look at the disk of the database: {error.strerror}.")
