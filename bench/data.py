"""Creates the databases that the benchmark uses, filled with limits.

Each limit has two budgets and a rate limit. A third of the limits have usage.
"""

import random
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert
from sqlalchemy.engine import Connection

from governance.domain.keys import User, VirtualKey
from governance.domain.limits.drafts import DraftItem, LimitDraft, RuleSpec
from governance.domain.limits.durations import parse
from governance.domain.limits.edits import created
from governance.domain.limits.limit import Limit, Metric, Rule, Scope
from governance.domain.limits.money import NANOS
from governance.domain.limits.windows import window
from governance.domain.times import SECOND
from governance.storage import revisions
from governance.storage.keys.users import users
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import writes
from governance.storage.limits.counters import touch
from governance.storage.sqlite.database import SqliteDatabase, engine_options
from governance.storage.sqlite.files import migrations
from governance.storage.tables import counters, model_limits, rules

BUSY = 5.0
SCOPES = 20
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "mistral-large")
PROVIDERS = ("openai", "azure", "anthropic", "vertex", "mistral", None, "bedrock")
SPACING = 61 * SECOND + 3007
USED_EACH = 3
LEAST_SHOWN = 100_000
"""The usage of each budget is a multiple of this many nano-dollars (0.0001 dollars).

The hand-written servers show usage as a float. A smaller float would be written with an exponent (1e-05).
"""
SLICE = 10_000


class Databases:
    """Databases of several sizes. Each database is filled once, in `folder`, and then copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, count: int, folder: Path) -> Path:
        """Copy the database with `count` limits to `folder`. Return the path of the copy."""
        made = self._folder / str(count) / "governance.db"
        if not made.exists():
            fill(made, count, time.time_ns() // 1000)
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(made, folder / "governance.db"))


def fill(path: Path, count: int, now: int) -> None:
    """Create a database with `count` limits in one transaction.

    The limits have different times of creation. The newest limit was created about one minute before `now`
    (microseconds).
    """
    migrations.upgrade(path, BUSY)
    engine = create_engine(f"sqlite:///{path}", **engine_options(path, BUSY, 1))
    try:
        with SqliteDatabase(engine, path).write() as connection:
            _fill(connection, count, now, random.Random(count))
    finally:
        engine.dispose()


def _fill(connection: Connection, count: int, now: int, chance: random.Random) -> None:
    revision, touched_at = revisions.advance(connection), touch(connection, now)
    for number in range(SCOPES):
        virtual_keys.add(connection, _virtual_key(number, now), revision)
        users.add(connection, User(f"user-{number}", f"User {number}", now, now), revision)
    for begin in range(0, count, SLICE):
        numbers = range(begin, min(begin + SLICE, count))
        stored = [limit(number, now - (count - number) * SPACING, chance) for number in numbers]
        add(connection, stored, revision)
        used = stored[-begin % USED_EACH :: USED_EACH]
        connection.execute(
            insert(counters), [_counter(one, rule, touched_at, chance) for one in used for rule in one.rules]
        )


def add(connection: Connection, new: Sequence[Limit], revision: int) -> None:
    """Store new limits as the rows that the service itself would write. One SQL statement inserts many rows."""
    connection.execute(insert(model_limits), [writes._row(one, revision) for one in new])  # noqa: SLF001
    rows = [writes._rule_row(one, rule) for one in new for rule in one.rules]  # noqa: SLF001
    connection.execute(insert(rules), rows)


def _virtual_key(number: int, now: int) -> VirtualKey:
    key_id = f"vk-{number}"
    return VirtualKey(
        id=key_id,
        name=f"Virtual key {number}",
        description=None,
        digest=f"{number:064x}",
        value_prefix="sk-gov-",
        is_active=True,
        calendar_aligned=False,
        expires_at=None,
        created_at=now,
        updated_at=now,
    )


def limit(number: int, now: int, chance: random.Random) -> Limit:
    """Return a limit. `number` determines the limit's name, provider and scope. `chance` determines the limit's ids."""
    scope, scope_id = _scope(number)
    draft = LimitDraft(
        model_name=f"{MODELS[number % len(MODELS)]}-{number}",
        provider=PROVIDERS[number % len(PROVIDERS)],
        scope=scope,
        scope_id=scope_id,
        calendar_aligned=False,
        timezone="UTC",
        budgets=(_item((Metric.COST, 50 * NANOS, "1d")), _item((Metric.COST, 1250 * NANOS // 2, "1M"))),
        rate_limits=(_item((Metric.TOKENS, 1_000_000, "1h"), (Metric.REQUESTS, 600, "1m")),),
    )
    return created(
        draft, inherited=False, now=now, new_id=lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4))
    )


def _scope(number: int) -> tuple[Scope, str | None]:
    match number % 4:
        case 0:
            return Scope.VIRTUAL_KEY, f"vk-{number // 4 % SCOPES}"
        case 1:
            return Scope.USER, f"user-{number // 4 % SCOPES}"
    return Scope.GLOBAL, None


def _item(*ceilings: tuple[Metric, int, str]) -> DraftItem:
    return DraftItem(None, tuple(RuleSpec(metric, most, parse(duration)) for metric, most, duration in ceilings))


def _counter(limit: Limit, rule: Rule, now: int, chance: random.Random) -> dict[str, Any]:
    start, end = window(rule.duration, limit.alignment, rule.anchor, now)
    step = LEAST_SHOWN if rule.metric == Metric.COST else 1
    used, reserved = (chance.randrange(rule.max_limit // part // step) * step for part in (2, 10))
    return {
        "rule_id": rule.id,
        "metric": rule.metric,
        "generation": rule.generation,
        "window_start": start,
        "window_end": end,
        "used": used,
        "reserved": reserved,
        "touched_at": now,
    }
