"""A database with random acts, and a follower that gets its changes as a worker's snapshot does."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import update
from sqlalchemy.engine import Connection

from governance.domain.keys import ApiKey, User, VirtualKey
from governance.domain.records.changes import Changes, Mark
from governance.domain.times import DAY
from governance.storage import revisions
from governance.storage.changes import ChangesLoader
from governance.storage.keys import api_keys
from governance.storage.keys.users import users
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import counters, states, writes
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import counters as counter_table
from tests.conftest import FakeClock
from tests.storage.stored import count, counted, limit, rule


@dataclass
class Follower:
    """The state that a snapshot has after its changes, computed in a simple way."""

    load: ChangesLoader
    mark: Mark | None = None
    state: dict[str, dict[Any, Any]] = field(default_factory=dict)

    def follow(self) -> Changes:
        changes = self.load(self.mark)
        if changes.whole:
            self.state = {"limits": {}, "names": {}, "api_keys": {}, "virtual_keys": {}}
        for gone in changes.gone:
            self.state["limits"].pop(gone, None)
        for name, known in self.state.items():
            known.update(getattr(changes, name))
            self.state[name] = {key: value for key, value in known.items() if value is not None}
        self.mark = changes.mark
        return changes


def whole(load: ChangesLoader) -> dict[str, dict[Any, Any]]:
    """Return the state of a snapshot that is loaded now."""
    fresh = Follower(load)
    fresh.follow()
    return fresh.state


class World:
    """A database, a clock, and the acts that can change them. An act that is impossible now does nothing."""

    def __init__(self, database: SqliteDatabase, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.follower = Follower(ChangesLoader(database))

    def write(self, act: str, number: int) -> None:
        """Do a management write, as the services do."""
        with self.database.write() as connection:
            revision = revisions.advance(connection)
            getattr(self, act)(connection, revision, f"{number}")

    def stored(self, connection: Connection, limit_id: str) -> Any:
        found = states.by_ids(connection, [limit_id]).get(limit_id)
        return found and found.limit

    def limit(self, connection: Connection, revision: int, name: str) -> None:
        """Create or delete a limit. Ids are used again."""
        if self.stored(connection, name):
            writes.remove(connection, [name], revision)
            return
        scope = {"0": ("global", None), "1": ("user", "1"), "2": ("virtual_key", "2")}[name]
        rules = rule(f"{name} budget"), rule(f"{name} rate", "tokens"), rule(f"{name} rate", "requests")
        made = limit(name, *rules, scope=scope[0], scope_id=scope[1], created_at=self.clock())
        writes.add_all(connection, [made], revision)

    def edit(self, connection: Connection, revision: int, name: str) -> None:
        """Give a limit's budget other windows. Remove or add its limit on requests."""
        before = self.stored(connection, name)
        if before is None:
            return
        budget, *rates = before.rules
        budget = budget._replace(generation=budget.generation + 1, max_limit=budget.max_limit + 1)
        rates = rates[:1] if len(rates) > 1 else [*rates, rule(f"{name} rate", "requests")]
        after = before._replace(version=before.version + 1, rules=(budget, *rates))
        writes.replace(connection, before, after, revision, self.clock())

    def reset(self, connection: Connection, revision: int, name: str) -> None:
        """Set the usage of a limit to 0."""
        found = self.stored(connection, name)
        if found is not None:
            counters.reset(connection, found, self.clock())

    def user(self, connection: Connection, revision: int, name: str) -> None:
        """Create, rename or delete a user."""
        stored = users.get(connection, name)
        if stored is None:
            users.add(connection, User(name, "new", 1, 1), revision)
        elif stored.name == "new":
            users.replace(connection, stored._replace(name="renamed"), revision)
        else:
            users.remove(connection, name, revision)

    def virtual_key(self, connection: Connection, revision: int, name: str) -> None:
        """Create, rename or delete a virtual key."""
        stored = virtual_keys.get(connection, name)
        if stored is None:
            key = VirtualKey(name, f"new {name}", None, name, "", True, False, None, 1, 1)
            virtual_keys.add(connection, key, revision)
        elif stored.name.startswith("new"):
            virtual_keys.replace(connection, stored._replace(name=f"renamed {name}", is_active=False), revision)
        else:
            virtual_keys.remove(connection, name, revision)

    def api_key(self, connection: Connection, revision: int, name: str) -> None:
        """Create or revoke an API key."""
        if not api_keys.remove(connection, name, revision):
            key = ApiKey(name, "key", "gov", f"{name} {revision}", ("read",), None, None, 1)
            api_keys.add(connection, key, revision)

    def use(self, number: int) -> None:
        """Add usage to every rule of a limit, as metering does. The config revision does not change."""
        now = self.clock()
        with self.database.write() as connection:
            found = self.stored(connection, f"{number}")
            for each in found.rules if found else ():
                start = now - (now - each.anchor) % DAY
                rows = [row for row in counted(connection, each.id, each.metric) if row.generation == each.generation]
                if rows and rows[-1].window_end > now:
                    touched = update(counter_table).where(counter_table.c.id == rows[-1].id)
                    touched_at = counters.touch(connection, now)
                    connection.execute(touched.values(used=rows[-1].used + 1, touched_at=touched_at))
                else:
                    count(connection, each, start, used=1, touched_at=counters.touch(connection, now))

    def poll(self, _: int = 0) -> None:
        self.follower.follow()

    def check(self) -> None:
        assert self.follower.state == whole(self.follower.load)
