"""Plans and applies config files that are sent over HTTP.

A file is applied only if its plan is still the plan that the client has seen.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from governance.domain.config.plan import Plan
from governance.domain.errors import Code, Conflict, Fault, Misplaced, NotReady, Unavailable
from governance.domain.records.stored import ManagedKey
from governance.services.config.files import Files, LoadedFile
from governance.services.config.sync import MOVED, PreparedPlan, Sync

MAX_FILE = 32 * 1024 * 1024
LARGE = 1024 * 1024
"""A file with more bytes than this is large. A worker reads only one large file at a time.

A file of 10,000 limits (2.4 MiB) took 3.3 s on two busy cores.
"""
ANOTHER = "Try again in a minute: another large file is being read."
OWNER_WANTED = 'Name an owner to prune for, as ?owner=NAME or as "owner" at the top of the file.'
UNWRITTEN = "Try again once the service's disk can be written: the values of new virtual keys are kept there."


class SyncOptions(NamedTuple):
    """The options of a sync, as in `flask governance sync`."""

    owner: str | None
    prune: bool
    overwrite: bool


class Upload(NamedTuple):
    """A file that a client sends: its size, if the request states it, and a function that reads at most n bytes."""

    size: int | None
    read: Callable[[int], bytes]


class PlanReview(NamedTuple):
    """A plan, the warnings about its file, and the ETag that a client must send to apply the plan."""

    document: LoadedFile
    plan: Plan
    warnings: list[Misplaced]
    left_out: list[Misplaced]
    etag: str

    @property
    def minted(self) -> int:
        """The number of new virtual keys that have no value in the file. The service generates their values."""
        after = (step.after for step in self.plan.writes)
        return sum(isinstance(row, ManagedKey) and not row.key.digest for row in after)


class Uploads:
    """Plans and applies config files that are sent over HTTP."""

    def __init__(self, files: Files, sync: Sync) -> None:
        self._files = files
        self._sync = sync
        self._large = Lock()

    def plan(self, upload: Upload, wishes: SyncOptions) -> PlanReview:
        """Return the plan for applying the file at the present time. Raises FaultyFile."""
        with self._admitted(upload):
            return self._planned(upload.read(MAX_FILE), wishes)[0]

    def apply(self, upload: Upload, wishes: SyncOptions, is_wanted: Callable[[str], bool]) -> PlanReview:
        """Apply a file if `is_wanted` accepts the ETag of its plan.

        Raises Conflict if the file, the options or the database changed since the client saw the plan. Raises
        FaultyFile.
        """
        with self._admitted(upload):
            review, planned = self._planned(upload.read(MAX_FILE), wishes)
            if not is_wanted(review.etag):
                raise Conflict(MOVED, code=Code.STALE_VERSION, param="If-Match")
            if planned.plan.writes:
                self._apply(review.document, planned, wishes)
            return review

    def _apply(self, document: LoadedFile, planned: PreparedPlan, wishes: SyncOptions) -> None:
        try:
            self._sync.apply(document, planned, prune=wishes.prune, overwrite=wishes.overwrite, exact=True)
        except NotReady as error:  # the message of NotReady contains a path, which only the operator may see
            raise Unavailable(UNWRITTEN) from error

    def _planned(self, raw: bytes, wishes: SyncOptions) -> tuple[PlanReview, PreparedPlan]:
        document = self._files.received(raw, wishes.owner)
        if wishes.prune and not document.source.name:
            raise document.refusal([Fault("owner", OWNER_WANTED)])
        planned = self._sync.plan(document, prune=wishes.prune, overwrite=wishes.overwrite)
        remarks = self._files.cautions(document), self._files.left_out(document)
        return PlanReview(document, planned.plan, *remarks, _etag(raw, wishes, planned.revision)), planned

    @contextmanager
    def _admitted(self, upload: Upload) -> Iterator[None]:
        """Raise Unavailable if the file is large and another large file is being read.

        A file of unknown size counts as large. The check comes before the first byte is read. So slow clients that
        send large files occupy at most one thread.
        """
        if upload.size is not None and upload.size <= LARGE:
            yield
        elif self._large.acquire(blocking=False):
            try:
                yield
            finally:
                self._large.release()
        else:
            raise Unavailable(ANOTHER, code=Code.FILE_BUSY, retry_after=60)


def _etag(raw: bytes, wishes: SyncOptions, revision: int) -> str:
    """Return the digest of a file's bytes, the options of the sync and the config revision.

    The config revision is a number that each edit of limits, keys, users or prices raises by 1.
    """
    return sha256(repr((tuple(wishes), revision, sha256(raw).hexdigest())).encode()).hexdigest()
