"""Syncs the database with a config file: makes a plan of the changes, and carries the plan out in one transaction.

If a plan may be out of date, it is made again in that transaction. The config revision is a number that each edit of
limits, keys, users or prices raises by 1.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain import keys
from governance.domain.config import plan as plans
from governance.domain.config.plan import Plan
from governance.domain.config.plan_steps import PlanContext, Step
from governance.domain.errors import Code, Conflict, FaultyFile, GovernanceError, NotReady, Unavailable, fault_line
from governance.domain.gc_pause import pause_gc
from governance.domain.records.stored import ManagedKey
from governance.domain.times import SECOND, Clock
from governance.services.actor import acting_as
from governance.services.config.files import Files, LoadedFile
from governance.services.config.plan_writes import carry_out
from governance.services.random_ids import RandomIds
from governance.services.writing import Write, Writer
from governance.storage import private_files, revisions
from governance.storage.config import current_state
from governance.storage.limits.states import any_limits
from governance.storage.store import Database

logger = logging.getLogger("governance.files")

VALUES_FILE = "virtual-keys.txt"
FRESH = 5 * SECOND
TRIES = 12
"""How many times a start tries to get the write lock. Each try waits as long as any other write does."""
TRIES_WHILE_RUNNING = 3
"""How many times a reload tries to get the write lock. Gunicorn's master watches no workers meanwhile."""


IN_FORCE = "the limits of before are in force. Look at the log, mend it, and send SIGHUP or restart the service."
NOT_APPLIED = f"{{}} was not applied, faults: {{}}; {IN_FORCE}"
NOT_WRITTEN = f"{{}} could not be written to the database; {IN_FORCE}"

LEFT_OUT = "{} was applied, but {} of its budgets and rate limits hold for nobody here: look at the log."

MOVED = "Plan again: the file, its parameters or what is stored are not as they were when it was planned."


class PreparedPlan(NamedTuple):
    """A plan, with the config revision and the time (microseconds) for which it was made."""

    plan: Plan
    revision: int
    at: int

    def holds(self, write: Write) -> bool:
        """Return whether the plan is still valid in this write.

        The plan must be less than 5 s old, and no other write may have been committed since it was made.
        """
        return write.revision == self.revision + 1 and 0 <= write.now - self.at < FRESH


class SyncResult(NamedTuple):
    """The plan that was carried out, and the number of virtual keys for which a value was generated.

    The generated values are in the file `VALUES_FILE`.
    """

    plan: Plan
    minted: int


class Sync:
    """Plans and applies files."""

    def __init__(
        self, database: Database, writer: Writer, files: Files, clock: Clock, *, random_ids: RandomIds, folder: Path
    ) -> None:
        self._database = database
        self._writer = writer
        self._files = files
        self._clock = clock
        self._random_ids = random_ids
        self.values = folder / VALUES_FILE

    def plan(self, document: LoadedFile, *, prune: bool, overwrite: bool = False) -> PreparedPlan:
        """Return the plan of a sync at the present time.

        If `prune` is true, the plan removes the rows that the file created and no longer contains. If `overwrite` is
        true, the plan undoes edits that were made through the API. Raises FaultyFile if the file conflicts with stored
        rows.
        """
        with self._database.read() as connection:
            now = self._clock()
            plan = _plan(connection, document, now, prune=prune, overwrite=overwrite)
            return PreparedPlan(plan, revisions.current(connection), now)

    def apply(
        self, document: LoadedFile, planned: PreparedPlan, *, prune: bool, overwrite: bool = False, exact: bool = False
    ) -> SyncResult:
        """Carry out a plan in one transaction.

        If the plan may be out of date, a new plan is made in the transaction. If `exact` is true and another write was
        committed after the plan was made, raises Conflict instead. Raises FaultyFile if the new plan has faults.
        """
        with self._writer.write() as write:
            if exact and write.revision != planned.revision + 1:
                raise Conflict(MOVED, code=Code.STALE_VERSION, param="If-Match")
            known = planned.plan if planned.holds(write) else None
            plan = known or _plan(write.connection, document, write.now, prune=prune, overwrite=overwrite)
            steps, values = self._with_values(plan.writes)
            carry_out(write, document.source, steps)
            self._save_values(values)
        return SyncResult(plan, len(values))

    def at_start(self, path: Path) -> list[str]:
        """Sync a file before the service starts.

        Return the warnings for `/readyz`. If the file cannot be applied, the service starts with the stored limits. If
        the file cannot be applied and no limits are stored, raises NotReady with every fault.
        """
        error, notes = self._try(path, TRIES)
        if error is not None and not self._any_limits():
            advice = "mend it and start again" if isinstance(error, FaultyFile) else "it could not be written"
            raise NotReady(f"{error.message}\n{path.name} was not applied: {advice}.") from error
        return notes if error is None else _log_failure(path, error)

    def at_reload(self, path: Path) -> list[str]:
        """Sync a file while the service runs.

        Return the warnings for `/readyz`. If the sync fails, the stored limits stay.
        """
        error, notes = self._try(path, TRIES_WHILE_RUNNING)
        return notes if error is None else _log_failure(path, error)

    def _try(self, path: Path, tries: int) -> tuple[GovernanceError | None, list[str]]:
        """Apply a file. Return the error, or None if there is no error, and the warnings for `/readyz`."""
        try:
            with pause_gc():
                document = self._files.read(path)
                left_out = self._files.left_out(document)
                for place in left_out:
                    logger.warning("%s", fault_line(document.name, place))
                self._apply_with_retries(document, tries)
        except (FaultyFile, NotReady, Unavailable) as error:
            return error, []
        return None, [LEFT_OUT.format(path.name, len(left_out))] if left_out else []

    def _apply_with_retries(self, document: LoadedFile, tries: int) -> None:
        """Apply a file if it changes anything.

        If the database is busy, try again, because another instance of the service may be applying the same file.
        """
        for left in reversed(range(tries)):
            try:
                planned = self.plan(document, prune=False)
                with acting_as(document.actor):
                    done = self.apply(document, planned, prune=False) if planned.plan.writes else planned
                return _log_applied(document, done.plan)
            except Unavailable:
                if not left:
                    raise
        return None

    def _any_limits(self) -> bool:
        with self._database.read() as connection:
            return any_limits(connection)

    def _with_values(self, steps: Iterable[Step]) -> tuple[list[Step], dict[str, str]]:
        """Generate a value for each new virtual key that has none.

        Return the steps with the new keys, and the generated values by key id.
        """
        found, values = [], {}
        for step in steps:
            after = step.after
            if isinstance(after, ManagedKey) and not after.key.digest:
                values[step.id] = value = keys.VIRTUAL_KEY_PREFIX + self._random_ids.new_secret()
                key = after.key._replace(digest=keys.digest(value), value_prefix=keys.shown_prefix(value))
                found.append(step._replace(after=after._replace(key=key)))
            else:
                found.append(step)
        return found, values

    def _save_values(self, values: dict[str, str]) -> None:
        """Append the generated values to a private file before the commit. They are never logged or printed."""
        if not values:
            return
        lines = "".join(f"{key_id}\t{value}\n" for key_id, value in values.items())
        try:
            private_files.append(self.values, lines.encode())
        except OSError as error:
            sentence = f"The values of new virtual keys cannot be written to {self.values}: {error.strerror}."
            raise NotReady(sentence) from error


def _plan(connection: Connection, document: LoadedFile, now: int, *, prune: bool, overwrite: bool) -> Plan:
    context = PlanContext(document.source, current_state.current_state(connection), now, overwrite)
    plan, faults = plans.plan(context, document.wanted, prune=prune)
    if faults:
        raise document.refusal(faults)
    return plan


def _log_applied(document: LoadedFile, plan: Plan) -> None:
    counts = ", ".join(f"{number} to {action}" for action, number in plan.counts.items())
    logger.info("%s was applied: %s", document.name, counts or "it asks for nothing")


def _log_failure(path: Path, error: GovernanceError) -> list[str]:
    """Log why a file was not applied.

    Return the warning for `/readyz`. The warning contains no details, because anyone may read `/readyz`.
    """
    for line in error.message.splitlines():
        logger.error("%s", line)
    logger.error("%s was NOT applied: the limits that were stored before are in force", path.name)
    if isinstance(error, FaultyFile):
        return [NOT_APPLIED.format(path.name, len(error.faults))]
    return [NOT_WRITTEN.format(path.name)]
