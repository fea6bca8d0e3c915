"""Lists and looks up the prices of models, and changes overrides.

A price comes from the installed price list, or from an override that the operator has stored. An override takes
precedence over the list. An alias is an override that gives a model the prices of another model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Conflict, InvalidRequest, NotFound
from governance.domain.names import spelled
from governance.domain.pricing import drafts
from governance.domain.pricing.drafts import PriceDraft
from governance.domain.pricing.listed import ListedModel, ListInfo
from governance.domain.pricing.lookup import PriceLookup
from governance.domain.pricing.overrides import PriceOverride, alias_fault, by_model, prices_of
from governance.domain.pricing.schedule import CostSource, EffectivePrice, Schedule
from governance.domain.records.price_query import PriceLookupQuery, PricesQuery
from governance.domain.times import Clock
from governance.services.pricing.price_list import PriceList
from governance.services.random_ids import RandomIds
from governance.services.writing import Write, Writer
from governance.storage.pricing.price_overrides import price_overrides
from governance.storage.store import Database
from schemas.pricing.bodies import changed

TWIN = "Change the override {}, or give another effective_from: it is for the same model and begins at the same time."
SAME_ID = "Give another id: an override with this id already exists."


class PricePage(NamedTuple):
    """A page of prices at the instant `now`: first overrides, then entries of the list.

    `total` is the number of all matching overrides and entries.
    """

    overrides: Sequence[PriceOverride]
    listed: Sequence[ListedModel]
    total: int
    info: ListInfo
    now: int


STALE = "Read the price again and repeat your edit: somebody else has changed it meanwhile."


class Prices:
    """The operations on prices."""

    def __init__(
        self, database: Database, writer: Writer, price_list: PriceList, clock: Clock, random_ids: RandomIds
    ) -> None:
        self._database = database
        self._writer = writer
        self._list = price_list
        self._clock = clock
        self._random_ids = random_ids

    @property
    def info(self) -> ListInfo:
        """The status and the version of the list."""
        return self._list.info

    def page(self, query: PricesQuery) -> PricePage:
        """Return a page of prices. Waits until the list is loaded. Raises Unavailable."""
        self._list.wait()
        limit, offset = query.page
        stored: list[PriceOverride] = []
        listed: list[ListedModel] = []
        own = others = 0
        if query.source != CostSource.LIST:
            with self._database.read() as connection:
                stored, own = price_overrides.found(connection, query.page, query.search, query.provider)
        if query.source != CostSource.OVERRIDE:
            begin, most = max(0, offset - own), limit - len(stored)
            listed, others = self._list.page(query.provider, query.search, begin, most)
        return PricePage(stored, listed, own + others, self.info, self._clock())

    def look_up(self, query: PriceLookupQuery) -> PriceLookup:
        """Return the price that applies to a call to a model. Waits until the list is loaded. Raises Unavailable."""
        self._list.wait()
        at = self._clock() if query.at is None else query.at
        key = spelled(query.model, query.provider)
        with self._database.read() as connection:
            overrides = by_model(price_overrides.all(connection))
        found = Schedule(prices_of(key, overrides, self._list.prices)).at(at)
        cost = None if found is None or query.counts is None else found.price.cost(query.counts)
        return PriceLookup(key, at, found, cost, query.counts is not None, self._not_priced(found), self.info)

    def get(self, override_id: str) -> PriceOverride:
        """Return an override. Raises NotFound."""
        with self._database.read() as connection:
            return _stored(connection, override_id)

    def create(self, draft: PriceDraft, override_id: str | None = None) -> PriceOverride:
        """Store a new override. Raises InvalidRequest, Conflict."""
        with self._writer.write() as write:
            new = drafts.override(draft, override_id or self._random_ids.new_id(), write.now, write.now)
            if price_overrides.get(write.connection, new.id):
                raise Conflict(SAME_ID, param="id")
            _check(write, new)
            price_overrides.add(write.connection, new, write.revision)
        return new

    def change(self, override_id: str, body: Mapping[str, Any], *, seen: int | None = None) -> PriceOverride:
        """Store an edit.

        If `seen` is given, it must equal the `updated_at` of the stored override. Raises NotFound, InvalidRequest,
        Conflict.
        """
        with self._writer.write() as write:
            before = _stored(write.connection, override_id)
            if seen not in (None, before.updated_at):
                raise Conflict(STALE, code=Code.STALE_VERSION)
            return _replace(write, before, changed(drafts.draft_of(before), body))

    def set(self, draft: PriceDraft) -> tuple[PriceOverride, bool]:
        """Store an override.

        If there is already an override for the same model and with the same start, replace it. Return the stored
        override, and whether it is new. Raises InvalidRequest.
        """
        with self._writer.write() as write:
            new = drafts.override(draft, self._random_ids.new_id(), write.now, write.now)
            before = price_overrides.twin(write.connection, new)
            if before is not None:
                return _replace(write, before, draft), False
            _check(write, new)
            price_overrides.add(write.connection, new, write.revision)
        return new, True

    def delete(self, override_id: str) -> None:
        """Delete an override. Raises NotFound."""
        with self._writer.write() as write:
            _stored(write.connection, override_id)
            price_overrides.remove(write.connection, override_id, write.revision)

    def _not_priced(self, found: EffectivePrice | None) -> Sequence[str]:
        """If the price comes from the list, return the names of the rates in the list that are not used."""
        if found is None or found.entry.source != CostSource.LIST:
            return ()
        entry = found.entry
        key = spelled(entry.same_as, None) if entry.same_as else spelled(entry.model, entry.provider)
        listed = self._list.find(*key)
        return listed.not_priced if listed else ()


def _replace(write: Write, before: PriceOverride, draft: PriceDraft) -> PriceOverride:
    after = drafts.override(draft, before.id, before.created_at, before.updated_at)
    if after == before:
        return before
    _check(write, after)
    after = after._replace(updated_at=write.now)
    price_overrides.replace(write.connection, after, write.revision)
    return after


def _check(write: Write, override: PriceOverride) -> None:
    """Raise Conflict if the model has another override with the same start.

    Raise InvalidRequest if an alias leads to an alias.
    """
    twin = price_overrides.twin(write.connection, override)
    if twin is not None:
        raise Conflict(TWIN.format(twin.id), param="effective_from")
    others = [each for each in price_overrides.all(write.connection) if each.id != override.id]
    fault = alias_fault(override, others)
    if fault is not None:
        raise InvalidRequest(fault, param="same_as")


def _stored(connection: Connection, override_id: str) -> PriceOverride:
    found = price_overrides.get(connection, override_id)
    if found is None:
        raise NotFound("Price not found", code=Code.PRICE_NOT_FOUND)
    return found
