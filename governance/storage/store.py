"""The protocols through which services use storage: transactions, and metering in batches.

An act is a function that decides or charges one call. Its argument is the unit of work, which collects the changes of
one transaction. `storage/sqlite/` implements the protocols. No class inherits from a protocol, so a method call takes
no longer than usual.
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
    """One transaction of metering. It runs acts one after another. `now` is the same for all of them."""

    now: int
    revision: int

    def counters(self, rules: Sequence[MatchedRule]) -> list[PendingCounter]:
        """Return the counters of these rules in their current windows."""

    def add(self, reservation: Reservation, entries: Sequence[tuple[PendingCounter, int, int]]) -> None:
        """Add a new reservation. `entries` contains (counter, reserved amount, used amount) for each rule.

        Raises InvalidRequest, and changes nothing, if a sum would become too large.
        """

    def add_usage(self, admitted_at: int, series: Series, more: UsageAmounts) -> None:
        """Add usage to the usage history, in the bucket that contains an instant."""

    def reservation(self, reservation_id: str) -> PendingReservation | None:
        """Return the reservation with this id, or None."""

    def settle(self, pending: PendingReservation, after: Reservation) -> None:
        """Change a reservation to its next state, `after`. Release its reserved amounts, and charge its used amounts.

        Raises InvalidRequest, and changes nothing, if a sum would become too large.
        """

    def extend(self, pending: PendingReservation, after: Reservation) -> None:
        """Store a later `expires_at` of a reservation. Its reserved amounts stay."""

    def lapsed(self, most: int, now: int) -> list[str]:
        """Return the ids of up to `most` open reservations whose `expires_at` is at or before `now`."""

    def answer(self, key: IdempotencyKey, since: int) -> tuple[bytes, bytes] | None:
        """Return the request's fingerprint and the response for a key, or None if they are not newer than `since`."""

    def keep(self, key: IdempotencyKey, fingerprint: bytes, body: bytes, texts: tuple[str, ...]) -> None:
        """Store the response to the call that added the last reservation.

        `texts` are the parts of the response that other responses contain too.
        """


class MeteringStore(Protocol):
    """Runs acts. Acts that wait at the same time share one transaction."""

    @property
    def clock(self) -> Callable[[], int]:
        """The clock that gives acts their `now`, in microseconds."""

    def deadline(self) -> float:
        """Return the instant at which a caller stops waiting in any queue, in seconds of the monotonic clock."""

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
