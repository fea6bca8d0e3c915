"""The protocols through which services use storage: transactions, and metering in batches.

An act is a function that decides or charges one call. It takes the unit of work as its argument. `storage/sqlite/`
implements the protocols. No class inherits from a protocol, so calling a method costs no more than usual.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy.engine import Connection

from governance.domain.history.usage import Series, UsageAmounts
from governance.domain.metering.decision import MatchedRule
from governance.domain.metering.reservation import Reservation
from governance.storage.metering.pending import PendingCounter, PendingReservation

Result = TypeVar("Result")
Finished = TypeVar("Finished")
IdempotencyKey = tuple[str, str, str]
"""(API key id, path, the caller's key)."""


class Database(Protocol):
    """The transactions of one database."""

    @property
    def path(self) -> Path:
        """The path of the database file."""

    def read(self) -> AbstractContextManager[Connection]:
        """Begin a read transaction with one consistent view. Raises Unavailable."""

    def write(self, until: float | None = None) -> AbstractContextManager[Connection]:
        """Begin a write transaction with the writer lock. Raises Unavailable, Conflict."""

    def deadline(self) -> float:
        """Return the instant at which the caller stops waiting in any queue, in seconds of the monotonic clock."""

    def file(self) -> tuple[int, int]:
        """Return a value that identifies the database file. It changes when a backup replaces the file."""


class UnitOfWork(Protocol):
    """One transaction of metering. It runs acts one after another, all with the same `now`."""

    now: int
    revision: int

    def counters(self, rules: Sequence[MatchedRule]) -> list[PendingCounter]:
        """Return the counters of these rules in their current windows."""

    def add(self, reservation: Reservation, entries: Sequence[tuple[PendingCounter, int, int]]) -> None:
        """Add a new reservation and its amounts: a (counter, held, used) for each rule.

        Raises InvalidRequest and changes nothing if a sum would become too large.
        """

    def add_usage(self, admitted_at: int, series: Series, more: UsageAmounts) -> None:
        """Add usage to the usage history, in the bucket that contains an instant."""

    def reservation(self, reservation_id: str) -> PendingReservation | None:
        """Return the reservation with this id, or None."""

    def settle(self, pending: PendingReservation, after: Reservation) -> None:
        """End a reservation: release the held amounts, and charge the used amounts of its new state.

        Raises InvalidRequest and changes nothing if a sum would become too large.
        """

    def extend(self, pending: PendingReservation, after: Reservation) -> None:
        """Store a later `expires_at` of a reservation. Its held amounts stay."""

    def lapsed(self, most: int, now: int) -> list[str]:
        """Return the ids of up to `most` open reservations that are overdue at an instant."""

    def answer(self, key: IdempotencyKey, since: int) -> tuple[bytes, bytes] | None:
        """Return the fingerprint and the response for a key. Return None if they were stored before `since`."""

    def keep(self, key: IdempotencyKey, fingerprint: bytes, body: bytes, texts: tuple[str, ...]) -> None:
        """Store the response to the last added reservation.

        `texts` are the texts that it shares with other responses.
        """


class MeteringStore(Protocol):
    """Runs acts. All acts that wait at the same time share one transaction."""

    @property
    def clock(self) -> Callable[[], int]:
        """The clock of the writes, in microseconds."""

    def deadline(self) -> float:
        """The instant at which the caller stops waiting in any queue, in seconds of the monotonic clock."""

    def submit(self, act: Callable[[UnitOfWork], Result], until: float | None = None) -> Result:
        """Run an act, and return its result after the commit. Raises the errors of the act, and Unavailable."""

    def submit_then(
        self, act: Callable[[UnitOfWork], Result], then: Callable[[Result], Finished], until: float | None = None
    ) -> Finished:
        """Run an act, and return `then(result)` after the commit.

        Raises the errors of both functions. Raises Unavailable if the act has not ended by the deadline.
        """

    def fault(self) -> str | None:
        """Return why nothing can be written now, or None if writing works. This takes less than a second."""
