"""Lists, reads, creates, changes and deletes model limits.

The snapshot is this worker's copy of the database in memory. A draft is a new limit as read from a request.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Conflict
from governance.domain.limits.drafts import LimitChange, LimitDraft
from governance.domain.limits.edits import changed, created
from governance.domain.limits.effects import RuleEffect, effects
from governance.domain.limits.limit import LimitState
from governance.domain.records.list_query import ListQuery, Page, Validity
from governance.domain.times import Clock
from governance.services.limits.lookups import is_aligned_by_key, stored
from governance.services.random_ids import RandomIds
from governance.services.writing import Writer
from governance.snapshot.reader import SnapshotReader
from governance.storage.limits import counters, lists
from governance.storage.limits import writes as stored_limits
from governance.storage.store import Database
from schemas import render
from schemas.render import Rendering

Versions = Callable[[int], bool]
"""A function that returns whether the caller's If-Match header accepts a version of a limit."""


class Listing(NamedTuple):
    """A page of JSON documents with their ETags.

    `age` is the age of the snapshot in seconds. It is None if the page comes from the database. `validity` is the time
    for which the same query to the same snapshot returns the same page. It is None if this time is not known.
    """

    documents: Sequence[bytes]
    etags: Sequence[str]
    total: int
    age: float | None
    validity: Validity | None = None


class ModelLimits:
    """The operations on model limits."""

    def __init__(
        self, database: Database, memory: SnapshotReader, writer: Writer, clock: Clock, random_ids: RandomIds
    ) -> None:
        self._database = database
        self._memory = memory
        self._writer = writer
        self._clock = clock
        self._random_ids = random_ids
        self._totals = lists.Totals()

    def page(self, query: ListQuery) -> Listing:
        """Return a page of model limits from the snapshot or the database. The bytes are the same for the same data."""
        if query.from_memory:
            return Listing(*self._memory.limits(query, self._clock()))
        with self._database.read() as connection:
            now = self._clock()
            total = self._totals.of(connection, query.filter)
            found = lists.limits(connection, query, total, now)
        page = [self._memory.rendering(entry, now) for entry in found]
        return Listing([rendering.body for rendering in page], [rendering.etag for rendering in page], total, None)

    def budgets(self, page: Page, *, from_memory: bool) -> Listing:
        """Return a page of all budgets."""
        return self._items(page, from_memory=from_memory, budgets=True)

    def rate_limits(self, page: Page, *, from_memory: bool) -> Listing:
        """Return a page of all rate limits."""
        return self._items(page, from_memory=from_memory, budgets=False)

    def get(self, limit_id: str) -> Rendering:
        """Return one limit, from the database. Raises NotFound."""
        with self._database.read() as connection:
            return render.limit(stored(connection, limit_id), self._clock())

    def create(self, draft: LimitDraft) -> Rendering:
        """Store a new limit. Raises InvalidRequest, Conflict."""
        with self._writer.write() as write:
            aligned = is_aligned_by_key(write.connection, draft)
            _refuse_duplicate(write.connection, draft)
            limit = created(draft, inherited=aligned, now=write.now, new_id=self._random_ids.new_id)
            stored_limits.add_all(write.connection, [limit], write.revision)
            return render.limit(stored(write.connection, limit.id), self._clock())

    def change(self, limit_id: str, change: LimitChange, accepts: Versions) -> Rendering:
        """Store an edit. Set the usage of the metrics in `change.reset` to 0.

        Raises NotFound, Conflict, InvalidRequest.
        """
        with self._writer.write() as write:
            before = _accepted(write.connection, limit_id, accepts).limit
            after = changed(before, change, now=write.now, new_id=self._random_ids.new_id)
            if after is not before:
                stored_limits.replace(write.connection, before, after, write.revision, write.now)
            forgiven = tuple(rule for rule in after.rules if rule.metric in change.reset)
            counters.reset(write.connection, after._replace(rules=forgiven), write.now)
            return render.limit(stored(write.connection, limit_id), self._clock())

    def preview(self, limit_id: str, change: LimitChange, accepts: Versions) -> list[RuleEffect]:
        """Return what an edit would do to the rules of a limit. Nothing is stored. Raises the errors of `change`."""
        with self._database.read() as connection:
            entry, now = _accepted(connection, limit_id, accepts), self._clock()
            after = changed(entry.limit, change, now=now, new_id=self._random_ids.new_id)
            return effects(entry, after, change.reset, now)

    def preview_new(self, draft: LimitDraft) -> list[RuleEffect]:
        """Return the rules and first windows of a new limit. Nothing is stored. Raises the errors of `create`."""
        with self._database.read() as connection:
            aligned, now = is_aligned_by_key(connection, draft), self._clock()
            _refuse_duplicate(connection, draft)
            limit = created(draft, inherited=aligned, now=now, new_id=self._random_ids.new_id)
            return effects(LimitState(limit._replace(rules=()), (), None), limit, (), now)

    def delete(self, limit_id: str, accepts: Versions) -> None:
        """Delete a limit with its rules and counters. Raises NotFound, Conflict."""
        with self._writer.write() as write:
            _accepted(write.connection, limit_id, accepts)
            stored_limits.remove(write.connection, [limit_id], write.revision)

    def _items(self, page: Page, *, from_memory: bool, budgets: bool) -> Listing:
        age = None
        if from_memory:
            now = self._clock()
            found, total, age = self._memory.items(page, budgets=budgets)
        else:
            with self._database.read() as connection:
                now = self._clock()
                found, total = (lists.budgets if budgets else lists.rate_limits)(connection, page)
        documents = [render.item(entry, item_id, now) for item_id, entry in found]
        return Listing(documents, [render.digest(document) for document in documents], total, age)


def _accepted(connection: Connection, limit_id: str, accepts: Versions) -> LimitState:
    """Return the stored limit if the caller's If-Match accepts its version. Raises NotFound, Conflict."""
    entry = stored(connection, limit_id)
    if not accepts(entry.limit.version):
        sentence = "Read the model config again and repeat your edit: it has changed since the version in If-Match."
        raise Conflict(sentence, param="If-Match", code=Code.STALE_VERSION)
    return entry


def _refuse_duplicate(connection: Connection, draft: LimitDraft) -> None:
    """Raise Conflict if a stored limit has the same scope, scope id, provider and model as a draft."""
    existing = stored_limits.find_identical(connection, draft.identity)
    if existing is not None:
        raise _duplicate(draft, existing)


def _duplicate(draft: LimitDraft, existing: str) -> Conflict:
    provider = f" with provider '{draft.provider}'" if draft.provider else ""
    scope = f"{draft.scope} '{draft.scope_id}'" if draft.scope_id else draft.scope
    return Conflict(
        f"Model config for model '{draft.model_name}'{provider} ({scope}) already exists: "
        f"change the one with id {existing}, or delete it first.",
        param="model_name",
        extra={"existing_id": existing},
    )
