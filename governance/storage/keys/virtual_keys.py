"""Virtual keys: rows in and out."""

from collections.abc import Sequence

from sqlalchemy import literal, select, update
from sqlalchemy.engine import Connection

from governance.domain.keys import VirtualKey
from governance.domain.records.stored import ManagedKey
from governance.storage import revisions, tables
from governance.storage.keys.named_resources import NamedRows

UNPRINTABLE = "\x1f"
"""Begins no name and no digest."""


class VirtualKeyRows(NamedRows[VirtualKey, ManagedKey]):
    """The rows of virtual keys, of which names and values are unique too."""

    def clash(self, connection: Connection, key: VirtualKey) -> str | None:
        """The column (`name` or `digest`) in which another stored key equals this one."""
        columns = self.table.c
        for name in ("name", "digest"):
            same = select(columns.id).where(columns[name] == getattr(key, name), columns.id != key.id)
            if connection.execute(same).first() is not None:
                return name
        return None

    def replace_held(self, connection: Connection, held: Sequence[ManagedKey], revision: int) -> None:
        """Store edits by a file. Names and values are first taken off, so that two keys may change theirs over."""
        if held:
            aside = literal(UNPRINTABLE) + self.table.c.id
            taken_off = update(self.table).where(self.own).values(name=aside, digest=aside)
            connection.execute(taken_off, [{"its_id": each.key.id} for each in held])
        super().replace_held(connection, held, revision)


virtual_keys = VirtualKeyRows(tables.virtual_keys, VirtualKey, revisions.VIRTUAL_KEY)
