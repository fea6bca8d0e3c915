"""A database to measure on: model limits with two budgets and a rate limit each, a third of them in use."""

import random
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert
from sqlalchemy.engine import Connection

from governance.domain.durations import parse
from governance.domain.edits import Ceiling, Draft, Item, created
from governance.domain.keys import User, VirtualKey
from governance.domain.limits import Limit, Metric, Rule, Scope
from governance.domain.money import NANOS
from governance.domain.times import SECOND
from governance.domain.windows import window
from governance.storage import limits, migrations, revisions, users, virtual_keys
from governance.storage.counters import touch
from governance.storage.database import Database, engine_options
from governance.storage.tables import counters

BUSY = 5.0
SCOPES = 20
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "mistral-large")
PROVIDERS = ("openai", "azure", "anthropic", "vertex", "mistral", None, "bedrock")
SPACING = 61 * SECOND + 3007
USED_EACH = 3
LEAST_SHOWN = 100_000
"""Usage in steps of 0.0001 dollars, which a hand-written server can show as a float without an exponent."""


def fill(path: Path, count: int, now: int) -> None:
    """Make a database with `count` limits, the newest a minute old at `now` (microseconds), in one transaction."""
    migrations.upgrade(path, BUSY)
    engine = create_engine(f"sqlite:///{path}", **engine_options(path, BUSY, 1))
    try:
        with Database(engine, path).write() as connection:
            _fill(connection, count, now, random.Random(count))
    finally:
        engine.dispose()


def _fill(connection: Connection, count: int, now: int, chance: random.Random) -> None:
    revision = revisions.advance(connection)
    for number in range(SCOPES):
        virtual_keys.add(connection, _virtual_key(number, now), revision)
        users.add(connection, User(f"user-{number}", f"User {number}", now, now), revision)
    touched_at = touch(connection, now)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        limit = _limit(number, now - (count - number) * SPACING, chance)
        limits.add(connection, limit, revision)
        if number % USED_EACH == 0:
            rows += (_counter(limit, rule, now, chance, touched_at) for rule in limit.rules)
    connection.execute(insert(counters), rows)


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


def _limit(number: int, now: int, chance: random.Random) -> Limit:
    scope, scope_id = _scope(number)
    draft = Draft(
        model_name=f"{MODELS[number % len(MODELS)]}-{number}",
        provider=PROVIDERS[number % len(PROVIDERS)],
        scope=scope,
        scope_id=scope_id,
        calendar_aligned=False,
        timezone="UTC",
        budgets=(_item((Metric.COST, 50 * NANOS, "1d")), _item((Metric.COST, 1250 * NANOS // 2, "1M"))),
        rate_limits=(_item((Metric.TOKENS, 1_000_000, "1h"), (Metric.REQUESTS, 600, "1m")),),
    )
    return created(draft, inherited=False, now=now, mint=lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)))


def _scope(number: int) -> tuple[Scope, str | None]:
    match number % 4:
        case 0:
            return Scope.VIRTUAL_KEY, f"vk-{number // 4 % SCOPES}"
        case 1:
            return Scope.USER, f"user-{number // 4 % SCOPES}"
    return Scope.GLOBAL, None


def _item(*ceilings: tuple[Metric, int, str]) -> Item:
    return Item(None, tuple(Ceiling(metric, most, parse(duration)) for metric, most, duration in ceilings))


def _counter(limit: Limit, rule: Rule, now: int, chance: random.Random, touched_at: int) -> dict[str, Any]:
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
        "touched_at": touched_at,
    }
