"""The audit log: records every management write, and lists the entries.

A management write is a change of limits, keys, users or prices. The entries are written in the transaction of the
write.
"""

from sqlalchemy.engine import Connection

from governance.domain.records.audit import AuditQuery, Entry, RecordedEntry
from governance.services import actor as acting
from governance.storage import audit
from governance.storage.store import Database
from schemas import audit as looks


class Audit:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: AuditQuery) -> tuple[list[RecordedEntry], int]:
        """Return a page of entries, newest first, and the number of all matching entries."""
        with self._database.read() as connection:
            return audit.page(connection, query)


def record(database: Database, connection: Connection, now: int, revision: int) -> None:
    """Record the changes that the write with this `revision` makes.

    `connection` has the open transaction of the write. The changes are the differences between the rows in this
    transaction and the committed rows. `Writer.write` calls this for each write. A write that changes nothing or is
    refused leaves no entry.
    """
    actor = acting.current()
    with database.read() as committed:
        for entity, ids in audit.touched(connection, committed, revision).items():
            for begin in range(0, len(ids), audit.SLICE):
                some = ids[begin : begin + audit.SLICE]
                before, after = (audit.KINDS[entity].by_ids(each, some) for each in (committed, connection))
                found = {each: looks.difference(entity, before.get(each), after.get(each), now) for each in some}
                entries = [Entry(now, actor, entity, row_id, *each) for row_id, each in found.items() if each]
                audit.add(connection, entries)
