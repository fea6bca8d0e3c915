"""What services need of storage, whichever database keeps it: transactions, and metering in batches.

The types only: `storage/sqlite/` implements them. Nothing inherits from these, so a call costs what the method costs.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy.engine import Connection

from governance.domain.metering.decision import MatchedRule
from governance.domain.metering.reservation import Reservation
from governance.storage.metering.pending import PendingCounter, PendingReservation

Result = TypeVar("Result")
Finished = TypeVar("Finished")
IdempotencyKey = tuple[str, str, str]
"""(API key's id, path, the caller's key)."""


class Database(Protocol):
    """Transactions on one database."""

    @property
    def path(self) -> Path:
        """The file in which the database lies."""

    def read(self) -> AbstractContextManager[Connection]:
        """One consistent view of the database. Raises Unavailable."""

    def write(self, until: float | None = None) -> AbstractContextManager[Connection]:
        """One transaction with the write lock held: all of it is kept, or nothing. Raises Unavailable, Conflict."""

    def deadline(self) -> float:
        """Until when (seconds of the monotonic clock) the caller waits, in all queues together."""

    def file(self) -> tuple[int, int]:
        """Which database this is: another value after a backup was put in its place."""


class UnitOfWork(Protocol):
    """One transaction of metering, in which acts are done one after another; `now` is the same for all of them."""

    now: int
    revision: int

    def counters(self, rules: Sequence[MatchedRule]) -> list[PendingCounter]:
        """What counts now for these rules, each in its current window."""

    def add(self, reservation: Reservation, entries: Sequence[tuple[PendingCounter, int, int]]) -> None:
        """Store a new reservation, and what it holds and used of each counter: (counter, held, used).

        Raises InvalidRequest, and changes nothing, where a sum would become too large.
        """

    def reservation(self, reservation_id: str) -> PendingReservation | None:
        """The reservation with this id."""

    def settle(self, pending: PendingReservation, after: Reservation) -> None:
        """Move a reservation to its next state: its holds end, and each counter is charged what it now says it used.

        Raises InvalidRequest, and changes nothing, where a sum would become too large.
        """

    def extend(self, pending: PendingReservation, after: Reservation) -> None:
        """Note a reservation's later end; its holds stay."""

    def lapsed(self, most: int, now: int) -> list[str]:
        """Up to `most` open reservations whose time is over at an instant."""

    def answer(self, key: IdempotencyKey, since: int) -> tuple[bytes, bytes] | None:
        """The fingerprint and the answer that were kept under a key since an instant."""

    def keep(self, key: IdempotencyKey, fingerprint: bytes, body: bytes, texts: tuple[str, ...]) -> None:
        """Keep the answer to the effect that was added last; `texts` are what it has in common with others."""


class MeteringStore(Protocol):
    """Does acts of metering, those that wait at the same time in one transaction."""

    @property
    def clock(self) -> Callable[[], int]:
        """The clock that dates what is written."""

    def deadline(self) -> float:
        """Until when (seconds of the monotonic clock) the caller waits, in all queues together."""

    def submit(self, act: Callable[[UnitOfWork], Result], until: float | None = None) -> Result:
        """Do an act and return its result, once that is on the disk. Raises what the act raises, and Unavailable."""

    def submit_then(
        self, act: Callable[[UnitOfWork], Result], then: Callable[[Result], Finished], until: float | None = None
    ) -> Finished:
        """Do an act and return what `then` makes of its result, once that is on the disk. Raises what they raise.

        Raises Unavailable where it is not done until the deadline.
        """

    def fault(self) -> str | None:
        """Why nothing can be written now; None where it can. Takes less than a second."""
