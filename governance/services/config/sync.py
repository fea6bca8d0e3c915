"""Making the database what a file asks for: planned, shown, planned again where it is written, whole or not at all."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain import keys
from governance.domain.config import plan as plans
from governance.domain.config.plan import Plan
from governance.domain.config.steps import Aim, Step
from governance.domain.errors import Code, Conflict, FaultyFile, GovernanceError, NotReady, Unavailable, fault_line
from governance.domain.records.stored import HeldKey
from governance.domain.times import SECOND, Clock
from governance.services.actor import acting_as
from governance.services.config.files import Document, Files
from governance.services.config.gc_pause import uncollected
from governance.services.config.step_writes import carry_out
from governance.services.random_ids import Mint
from governance.services.writing import Write, Writer
from governance.storage import private_files, revisions
from governance.storage.config import current_state
from governance.storage.limits.states import any_limits
from governance.storage.store import Database

logger = logging.getLogger("governance.files")

VALUES_FILE = "virtual-keys.txt"
FRESH = 5 * SECOND
TRIES = 12
"""How often a start waits for its turn to write; each time as long as any writer would."""
TRIES_WHILE_RUNNING = 3
"""The same for a reload, which keeps gunicorn's master from looking after its workers."""


IN_FORCE = "the limits of before are in force. Look at the log, mend it, and send SIGHUP or restart the service."
NOT_APPLIED = f"{{}} was not applied, faults: {{}}; {IN_FORCE}"
NOT_WRITTEN = f"{{}} could not be written to the database; {IN_FORCE}"

LEFT_OUT = "{} was applied, but {} of its budgets and rate limits hold for nobody here: look at the log."

MOVED = "Plan again: the file, its parameters or what is stored are not as they were when it was planned."


class Planned(NamedTuple):
    """A plan, with the config revision and the instant at which it was made."""

    plan: Plan
    revision: int
    at: int

    def holds(self, write: Write) -> bool:
        """Whether a plan made in the write itself would be the same: nobody wrote in between, and it is not old."""
        return write.revision == self.revision + 1 and 0 <= write.now - self.at < FRESH


class Applied(NamedTuple):
    """What was done, and how many virtual keys got a value that stands in `VALUES_FILE`."""

    plan: Plan
    minted: int


class Sync:
    """Plans and applies files."""

    def __init__(
        self, database: Database, writer: Writer, files: Files, clock: Clock, *, mint: Mint, folder: Path
    ) -> None:
        self._database = database
        self._writer = writer
        self._files = files
        self._clock = clock
        self._mint = mint
        self.values = folder / VALUES_FILE

    def plan(self, document: Document, *, prune: bool, overwrite: bool = False) -> Planned:
        """What a sync would do now. Raises FaultyFile where the file does not go with what is stored.

        `prune` removes the rows of this file that it no longer has; `overwrite` takes back what was edited by API.
        """
        with self._database.read() as connection:
            now = self._clock()
            plan = _plan(connection, document, now, prune=prune, overwrite=overwrite)
            return Planned(plan, revisions.current(connection), now)

    def apply(
        self, document: Document, planned: Planned, *, prune: bool, overwrite: bool = False, exact: bool = False
    ) -> Applied:
        """Do what was planned, in one transaction; planned again in it, where that might differ. Raises FaultyFile.

        `exact`: nothing is done where anything was written since, and Conflict is raised.
        """
        with self._writer.write() as write:
            if exact and write.revision != planned.revision + 1:
                raise Conflict(MOVED, code=Code.STALE_VERSION, param="If-Match")
            known = planned.plan if planned.holds(write) else None
            plan = known or _plan(write.connection, document, write.now, prune=prune, overwrite=overwrite)
            steps, values = self._valued(plan.writes)
            carry_out(write, document.source, steps)
            self._note(values)
        return Applied(plan, len(values))

    def at_start(self, path: Path) -> list[str]:
        """Sync a file before the service starts; what `/readyz` shall say of it.

        Raises NotReady, with every fault, unless there are limits already: then the service starts with those.
        """
        error, notes = self._tried(path, TRIES)
        if error is not None and not self._any_limits():
            advice = "mend it and start again" if isinstance(error, FaultyFile) else "it could not be written"
            raise NotReady(f"{error.message}\n{path.name} was not applied: {advice}.") from error
        return notes if error is None else _told(path, error)

    def at_reload(self, path: Path) -> list[str]:
        """Sync a file while the service runs; what `/readyz` shall say of it. Whatever fails, the limits stay."""
        error, notes = self._tried(path, TRIES_WHILE_RUNNING)
        return notes if error is None else _told(path, error)

    def _tried(self, path: Path, tries: int) -> tuple[GovernanceError | None, list[str]]:
        """What kept a file from being applied; else what `/readyz` shall say of it."""
        try:
            with uncollected():
                document = self._files.read(path)
                left_out = self._files.left_out(document)
                for place in left_out:
                    logger.warning("%s", fault_line(document.name, place))
                self._patiently(document, tries)
        except (FaultyFile, NotReady, Unavailable) as error:
            return error, []
        return None, [LEFT_OUT.format(path.name, len(left_out))] if left_out else []

    def _patiently(self, document: Document, tries: int) -> None:
        """Apply a file where it changes anything; another service may be at it, so wait longer than a caller would."""
        for left in reversed(range(tries)):
            try:
                planned = self.plan(document, prune=False)
                with acting_as(document.actor):
                    done = self.apply(document, planned, prune=False) if planned.plan.writes else planned
                return _tell(document, done.plan)
            except Unavailable:
                if not left:
                    raise
        return None

    def _any_limits(self) -> bool:
        with self._database.read() as connection:
            return any_limits(connection)

    def _valued(self, steps: Iterable[Step]) -> tuple[list[Step], dict[str, str]]:
        """The steps, with a value for each new virtual key that has none; and these values by the keys' ids."""
        found, values = [], {}
        for step in steps:
            after = step.after
            if isinstance(after, HeldKey) and not after.key.digest:
                values[step.id] = value = keys.VIRTUAL_KEY_PREFIX + self._mint.new_secret()
                key = after.key._replace(digest=keys.digest(value), value_prefix=keys.shown_prefix(value))
                found.append(step._replace(after=after._replace(key=key)))
            else:
                found.append(step)
        return found, values

    def _note(self, values: dict[str, str]) -> None:
        """Write new values down for their owner's eyes only, before they count: no log and no terminal shows them."""
        if not values:
            return
        lines = "".join(f"{key_id}\t{value}\n" for key_id, value in values.items())
        try:
            private_files.append(self.values, lines.encode())
        except OSError as error:
            sentence = f"The values of new virtual keys cannot be written to {self.values}: {error.strerror}."
            raise NotReady(sentence) from error


def _plan(connection: Connection, document: Document, now: int, *, prune: bool, overwrite: bool) -> Plan:
    aim = Aim(document.source, current_state.everything(connection), now, overwrite)
    plan, faults = plans.plan(aim, document.wanted, prune=prune)
    if faults:
        raise document.refusal(faults)
    return plan


def _tell(document: Document, plan: Plan) -> None:
    counts = ", ".join(f"{number} to {action}" for action, number in plan.counts.items())
    logger.info("%s was applied: %s", document.name, counts or "it asks for nothing")


def _told(path: Path, error: GovernanceError) -> list[str]:
    """Log why a file was not applied; what `/readyz`, which anyone may read, shall say of it."""
    for line in error.message.splitlines():
        logger.error("%s", line)
    logger.error("%s was NOT applied: the limits that were stored before are in force", path.name)
    if isinstance(error, FaultyFile):
        return [NOT_APPLIED.format(path.name, len(error.faults))]
    return [NOT_WRITTEN.format(path.name)]
