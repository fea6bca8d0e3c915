"""Checks everything that an operator can repair.

Each check reports what it found, or what to do. The checks work even if the database is missing, corrupt, or has
another schema.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from governance.domain.errors import GovernanceError, NotReady
from governance.domain.installation import PROGRAM
from governance.domain.pricing.overrides import by_model, full_name, prices_of
from governance.domain.pricing.schedule import Schedule
from governance.domain.times import DAY, SECOND, Clock, lasting, to_the_second
from governance.services.keys import admin_key
from governance.services.keys.admin_key import AdminKey
from governance.services.operations.file_checks import LEAST_FREE, FileChecks, size
from governance.services.operations.health import MISSING
from governance.services.pricing.price_list import COMMAND_PATIENCE, FAILED, PriceList
from governance.storage.limits import counters
from governance.storage.metering import reservations, verification
from governance.storage.pricing import unpriced_models
from governance.storage.pricing.price_overrides import price_overrides
from governance.storage.sqlite.files import inspection, migrations, start_check
from governance.storage.store import Database
from schemas.pricing.command import command

SLOWEST_POLL = 60
STEP = SECOND
"""A clock may be this many microseconds behind the newest time in the database. Such a small difference is normal."""
AGAIN = "Try again shortly: "
"""The advice that HTTP callers get if the database does not answer.

It is useless for an operator, so `doctor` leaves it out.
"""
UNPRICED_SINCE = 7 * DAY
MOST_NAMED = 10
"""The largest number of models without a price that `doctor` lists."""
LEAST_EXPIRED = 5
"""The smallest number of expired reservations in a day that `doctor` reports. A smaller number may be accidental."""
SKIPPED = "Not looked at, since the database cannot be read."


class DoctorSubject(NamedTuple):
    """The settings and files that are checked besides the database. Durations are in seconds."""

    admin_key_file: Path
    virtual_keys_file: Path
    admin_key_is_set: bool
    poll_interval: float
    memory_lifetime: float
    busy_timeout: float

    @property
    def secret_files(self) -> tuple[Path, Path]:
        """The files that contain keys."""
        return self.admin_key_file, self.virtual_keys_file


class Finding(NamedTuple):
    """The result of a check.

    `ok` is True, False, or None if the check could not run. If it is False, `message` says what to do.
    """

    check: str
    ok: bool | None
    message: str


class Doctor:
    """The checks. Each check returns what it found, or raises a GovernanceError that says what to do."""

    def __init__(self, database: Database, clock: Clock, subject: DoctorSubject, price_list: PriceList) -> None:
        self._database = database
        self._price_list = price_list
        self._clock = clock
        self._subject = subject

    def look(self) -> list[Finding]:
        """Run every check, the database first. If the database cannot be read, the checks that read it are left out."""
        files = FileChecks(self._database.path, self._subject.secret_files)
        inside = {
            "integrity": self._integrity,
            "schema": self._schema,
            "clock": self._time,
            "verify": self._verified,
            "admin key": self._admin_key,
            "space": self._space,
            "prices": self._prices,
            "settles": self._settles,
        }
        outside = {
            "disk": files.disk,
            "journal": files.journal,
            "file modes": files.modes,
            "poller": self._poller,
            "sqlite": files.sqlite,
        }
        # run these checks before opening the database, because opening it creates files
        beside = [_find(name, check) for name, check in outside.items()]
        first = _find("database", self._file)
        found = [_find(name, check) if first.ok else Finding(name, None, SKIPPED) for name, check in inside.items()]
        return [first, *found, *beside]

    def _file(self) -> str:
        path = self._database.path
        if not path.exists():
            raise NotReady(MISSING.format(path))
        start_check.check_for_command(path, self._subject.busy_timeout)
        with self._database.read() as connection:
            migrations.current_revision(connection)
        return f"{path}, {size(path.stat().st_size)}"

    def _integrity(self) -> str:
        with self._database.read() as connection:
            fault = inspection.unsound(connection)
        if fault:
            raise NotReady(f"Stop the service and restore a backup: the file is damaged ({fault}).")
        return "SQLite finds no fault in the file"

    def _schema(self) -> str:
        wanted = migrations.head()
        with self._database.read() as connection:
            fault = migrations.fault(migrations.current_revision(connection), wanted)
        if fault:
            raise NotReady(fault)
        return f"{wanted}, as this code wants it"

    def _time(self) -> str:
        with self._database.read() as connection:
            newest, now = inspection.newest(connection), self._clock()
            ahead = counters.furthest_ahead(connection, now)
        if newest > now + STEP:
            behind = f"{lasting(newest - now)} behind what was noted at {to_the_second(newest)}"
            raise NotReady(f"Set the clock right: {to_the_second(now)} is {behind}. Windows stay closed until then.")
        if ahead is not None:
            start = to_the_second(ahead.window_start)
            raise NotReady(f"PUT reset_usage: true on the limit of rule {ahead.rule_id}: its window starts at {start}.")
        return f"{to_the_second(now)}, the newest note is of {to_the_second(newest)}"

    def _verified(self) -> str:
        with self._database.read() as connection:
            last, full = verification.last(connection), verification.full(connection, self._clock())
        if full:
            rule_id, metric, _ = full[0]
            raise NotReady(
                f"PUT reset_usage: true on the limit of rule {rule_id}: the sum of its {metric} has come near 2^62, "
                f"and more is refused{_and_others(full)}."
            )
        if last is None:
            return f"not asked yet: {PROGRAM} verify compares every counter with its ledger"
        if last.differences:
            raise NotReady(
                f"Run {PROGRAM} verify, which names them, or restore a backup from before: on "
                f"{to_the_second(last.at)} {last.differences} of {last.counters} counters differed from their ledger."
            )
        return f"on {to_the_second(last.at)} all {last.counters} counters equalled their ledger"

    def _admin_key(self) -> str:
        if self._subject.admin_key_is_set:
            return "GOVERNANCE_ADMIN_KEY or GOVERNANCE_ADMIN_KEY_FILE is set"
        file = self._subject.admin_key_file
        found = admin_key.find(self._database, file, self._clock())
        if found == AdminKey.NONE:
            raise NotReady(f"Make an admin key: {admin_key.NEW_KEY}. None is stored that counts.")
        if found == AdminKey.NOT_IN_FILE:
            raise NotReady(f"Remove {file}: its key was revoked or has expired, and another is stored.")
        return f"in {file}" if found == AdminKey.IN_FILE else f"one is stored; {file.name} is gone"

    def _space(self) -> str:
        with self._database.read() as connection:
            found, parts = inspection.space(connection), inspection.parts(connection)
        if found.free > max(LEAST_FREE, found.file // 2):
            raise NotReady(
                f"Run {PROGRAM} compact while the service is stopped: nothing uses {size(found.free)} of the "
                f"file's {size(found.file)}."
            )
        told = [f"{name} {size(count)}" for name, count in (parts | {"free": found.free}).items()]
        return ", ".join(told)

    def _prices(self) -> str:
        self._price_list.wait(COMMAND_PATIENCE)
        info, now = self._price_list.info, self._clock()
        if info.version is None:
            raise NotReady(FAILED)
        with self._database.read() as connection:
            overrides = by_model(price_overrides.all(connection))
            counted = unpriced_models.recent(connection, now - UNPRICED_SINCE)
        without = [
            each
            for each in counted
            if Schedule(prices_of(each[:2], overrides, self._price_list.prices)).at(now) is None
        ]
        if without:
            names = [full_name(each.provider or None, each.model) for each in without]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            raise NotReady(
                f"Set prices, such as {command(without[0].model, without[0].provider or None)}: in the last week, "
                f"calls needed those of {', '.join(names[:MOST_NAMED])}{more}."
            )
        return f"genai-prices {info.version}, newest price of {info.newest(now)}; overrides for {len(overrides)} models"

    def _settles(self) -> str:
        since = self._clock() - DAY
        with self._database.read() as connection:
            found = reservations.never_settled(connection, since, LEAST_EXPIRED)
        if found:
            first = found[0]
            whose = f"virtual key {first.virtual_key_id}" if first.virtual_key_id else "calls without a virtual key"
            more = f", and so with {len(found) - 1} more" if len(found) > 1 else ""
            raise NotReady(
                f"Settle after each call: in the last day, all {first.expired} reservations of {whose} expired and "
                f"were charged at their estimate{more}."
            )
        return "no virtual key of the last day lets all its reservations expire"

    def _poller(self) -> str:
        interval, lifetime, busy = self._subject[3:]
        if interval > SLOWEST_POLL:
            raise NotReady(
                f"Set GOVERNANCE_POLL_INTERVAL to {SLOWEST_POLL} or less: at {interval:g} s a revoked key works that "
                "much longer in other workers, and memory is as old."
            )
        if interval + busy >= lifetime:
            raise NotReady(
                f"Set GOVERNANCE_BUSY_TIMEOUT below {lifetime - interval:g} (twice GOVERNANCE_POLL_INTERVAL): a poll "
                f"that waits {busy:g} s for the database lets the memory expire, which lives {lifetime:g} s."
            )
        return f"every {interval:g} s, the memory lives {lifetime:g} s (by the settings of this shell)"


def _find(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except GovernanceError as error:
        return Finding(name, False, error.message.removeprefix(AGAIN))
    except OSError as error:
        return Finding(name, False, f"Make {error.filename} readable: {error.strerror}.")
    except Exception as error:  # noqa: BLE001 - a damaged file may raise any error, and the other checks run
        return Finding(name, False, f"Restore a backup, or report this as a fault: {error!r}.")


def _and_others(full: Sequence[object]) -> str:
    return f"; so it is with {len(full) - 1} more, which {PROGRAM} verify names" if len(full) > 1 else ""
