"""Reads and writes price overrides in the database.

A price override is a price that an admin sets. It is used instead of the price in the service's list.
"""

from collections.abc import Sequence

from sqlalchemy import literal, select, update
from sqlalchemy.engine import Connection

from governance.domain.pricing.overrides import PriceOverride
from governance.domain.records.list_query import Page
from governance.domain.records.stored import ManagedPrice
from governance.storage import paging, revisions, tables
from governance.storage.named_rows import UNPRINTABLE, NamedRows


class PriceRows(NamedRows[PriceOverride, ManagedPrice]):
    """Reads and writes the rows of price overrides. No two overrides of a model begin at the same instant."""

    def twin(self, connection: Connection, override: PriceOverride) -> PriceOverride | None:
        """Return another override of the same model that begins at the same instant, or None."""
        columns = self.table.c
        wanted = select(*self.columns).where(
            columns.match_provider == override.match_provider,
            columns.match_model == override.match_model,
            columns.effective_from == override.effective_from,
            columns.id != override.id,
        )
        row = connection.execute(wanted).first()
        return None if row is None else PriceOverride._make(row)

    def replace_held(self, connection: Connection, held: Sequence[ManagedPrice], revision: int) -> None:
        """Overwrite the rows of overrides that a config file has edited.

        First, each of these rows gets a temporary model name that no other row has. So two overrides can swap their
        models without breaking the unique constraint.
        """
        if held:
            aside = literal(UNPRINTABLE) + self.table.c.id
            taken_off = update(self.table).where(self.own).values(match_model=aside)
            connection.execute(taken_off, [{"its_id": each.price.id} for each in held])
        super().replace_held(connection, held, revision)

    def all(self, connection: Connection) -> list[PriceOverride]:
        """Return all overrides."""
        return [PriceOverride._make(row) for row in connection.execute(select(*self.columns))]

    def found(
        self, connection: Connection, wanted: Page, search: str, provider: str | None
    ) -> tuple[list[PriceOverride], int]:
        """Return a page of the overrides that match, newest first, and the number of all overrides that match.

        `search` must be folded (normalized and in lower case). `provider` must be in its canonical spelling.
        """
        given = [] if provider is None else [self.table.c.match_provider == provider]
        rows, total = paging.page(connection, self.table, self.columns, wanted, search, given)
        return [PriceOverride._make(row) for row in rows], total


price_overrides = PriceRows(tables.prices, PriceOverride, revisions.PRICE)
