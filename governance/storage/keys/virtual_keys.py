"""Reads and writes virtual keys."""

from collections.abc import Sequence

from sqlalchemy import literal, select, update
from sqlalchemy.engine import Connection

from governance.domain.keys import VirtualKey
from governance.domain.records.stored import ManagedKey
from governance.storage import revisions, tables
from governance.storage.named_rows import UNPRINTABLE, NamedRows


class VirtualKeyRows(NamedRows[VirtualKey, ManagedKey]):
    """The rows of virtual keys. No two keys have the same name or the same value."""

    def by_digest(self, connection: Connection, digest: str) -> VirtualKey | None:
        """Return the key whose value has this digest, or None."""
        row = connection.execute(select(*self.columns).where(self.table.c.digest == digest)).one_or_none()
        return None if row is None else VirtualKey._make(row)

    def id_of_name(self, connection: Connection, name: str) -> str | None:
        """Return the id of the key with this name, or None."""
        columns = self.table.c
        return connection.execute(select(columns.id).where(columns.name == name)).scalar_one_or_none()

    def clash(self, connection: Connection, key: VirtualKey) -> str | None:
        """Return the column (`name` or `digest`) that has the same value in another stored key.

        Return None if there is no such column.
        """
        columns = self.table.c
        for name in ("name", "digest"):
            same = select(columns.id).where(columns[name] == getattr(key, name), columns.id != key.id)
            if connection.execute(same).first() is not None:
                return name
        return None

    def replace_held(self, connection: Connection, held: Sequence[ManagedKey], revision: int) -> None:
        """Store edits that a config file makes.

        Temporary names and digests are stored first, so that two keys can swap their names or values.
        """
        if held:
            aside = literal(UNPRINTABLE) + self.table.c.id
            taken_off = update(self.table).where(self.own).values(name=aside, digest=aside)
            connection.execute(taken_off, [{"its_id": each.key.id} for each in held])
        super().replace_held(connection, held, revision)


virtual_keys = VirtualKeyRows(tables.virtual_keys, VirtualKey, revisions.VIRTUAL_KEY)
