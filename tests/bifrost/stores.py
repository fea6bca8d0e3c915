"""Bifrost stores of several versions, with the known columns of its tables.

`python -m tests.bifrost.stores FILE` makes the small store that docs/from-bifrost.md shows.
"""

import hashlib
import itertools
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

OWNERS = "team_id varchar(255), virtual_key_id varchar(255), provider_config_id integer, customer_id varchar(255)"
TAIL = "config_hash varchar(255), created_at datetime NOT NULL, updated_at datetime NOT NULL"
RATES = (
    "token_max_limit bigint, token_reset_duration varchar(50), token_current_usage bigint DEFAULT 0,"
    " token_last_reset datetime, request_max_limit bigint, request_reset_duration varchar(50),"
    " request_current_usage bigint DEFAULT 0, request_last_reset datetime"
)
BUDGET = (
    "id varchar(255) PRIMARY KEY, max_limit real NOT NULL, reset_duration varchar(50) NOT NULL, last_reset datetime,"
    " current_usage real DEFAULT 0"
)
KEY = (
    "id varchar(255) PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text, value text NOT NULL UNIQUE,"
    " is_active numeric DEFAULT true, team_id varchar(255), customer_id varchar(255), rate_limit_id varchar(255)"
)
LIMIT = "id varchar(255) PRIMARY KEY, model_name varchar(255) NOT NULL, provider varchar(50)"
LINKS = "budget_id varchar(255), rate_limit_id varchar(255)"
ALIGNED = "calendar_aligned numeric NOT NULL DEFAULT false"
SCOPE = f"scope varchar(50) NOT NULL DEFAULT 'global', scope_id varchar(255), {ALIGNED}"
SEALED = "encryption_status varchar(20) DEFAULT 'plain_text', value_hash varchar(64) UNIQUE"
OVERRIDE = (
    "override_amount real DEFAULT 0, override_mode varchar(20) DEFAULT '', override_cycles_remaining integer DEFAULT 0,"
    " override_cycles_total integer DEFAULT 0, override_anchor_reset datetime"
)

PROVIDER = f"id integer PRIMARY KEY, name varchar(50) NOT NULL UNIQUE, network_config_json text, {LINKS}, {TAIL}"
CONFIG = (
    "id integer PRIMARY KEY, virtual_key_id varchar(255) NOT NULL, provider varchar(50) NOT NULL, weight real,"
    " allowed_models text, rate_limit_id varchar(255)"
)
TEAM = f"id varchar(255) PRIMARY KEY, name varchar(255) NOT NULL, {LINKS}, {TAIL}"

OLD = {
    "governance_virtual_keys": f"{KEY}, budget_id varchar(255), {TAIL}",
    "governance_model_configs": f"{LIMIT}, {LINKS}, {TAIL}",
    "governance_budgets": f"{BUDGET}, {TAIL}",
    "governance_rate_limits": f"id varchar(255) PRIMARY KEY, {RATES}, {TAIL}",
    "config_providers": PROVIDER,
    "governance_virtual_key_provider_configs": f"{CONFIG}, budget_id varchar(255)",
}
"""The version without scopes. Each owner names one budget: a limit, a virtual key, its provider config, or a provider.
"""

MIDDLE = OLD | {"governance_budgets": f"{BUDGET}, calendar_aligned numeric DEFAULT false, {TAIL}"}
"""The same version with `calendar_aligned` for each budget."""

CURRENT = {
    "governance_virtual_keys": f"{KEY}, calendar_aligned numeric DEFAULT false, {SEALED}, {TAIL}",
    "governance_model_configs": f"{LIMIT}, {SCOPE}, {LINKS}, {TAIL}",
    "governance_budgets": f"{BUDGET}, {OWNERS}, model_config_id varchar(255), {TAIL}",
    "governance_rate_limits": f"id varchar(255) PRIMARY KEY, {RATES}, {TAIL}",
    "config_providers": PROVIDER,
    "governance_virtual_key_provider_configs": CONFIG,
}
"""The version of Bifrost that this project follows."""

PRICES = {
    "governance_pricing_overrides": (
        "id varchar(255) PRIMARY KEY, name varchar(255) NOT NULL, scope_kind varchar(50) NOT NULL,"
        " virtual_key_id varchar(255), provider_id varchar(255), provider_key_id varchar(255),"
        " match_type varchar(20) NOT NULL, pattern varchar(255) NOT NULL, request_types_json text,"
        f" pricing_patch_json text, {TAIL}"
    )
}
"""The table of pricing overrides. Only later versions have it."""

LATER = {
    "governance_virtual_keys": (
        f"{KEY}, calendar_aligned numeric DEFAULT false, {SEALED}, expires_at datetime, created_by_user_id text, {TAIL}"
    ),
    "governance_model_configs": f"{LIMIT}, {SCOPE}, {LINKS}, {TAIL}",
    "governance_budgets": (
        f"{BUDGET}, {OVERRIDE}, reset_config_json text, {OWNERS}, model_config_id varchar(255), {TAIL}"
    ),
    "governance_rate_limits": (
        f"id varchar(255) PRIMARY KEY, model_config_id varchar(255), metric varchar(20), {RATES}, {TAIL}"
    ),
    "config_providers": PROVIDER,
    "governance_virtual_key_provider_configs": CONFIG,
} | PRICES
"""A version with overrides, expiry, fiscal quarters, and many rate limits for one limit."""

VERSIONS = {"old": OLD, "middle": MIDDLE, "current": CURRENT, "later": LATER}
MADE = "2026-11-01 08:00:00+00:00"
KEY_VALUE = "sk-bf-4f1c2a9e-platform"


class BifrostStore:
    """A store that a test fills. Each method adds a row and returns its id."""

    def __init__(self, path: Path, tables: dict[str, str] = CURRENT, *, wal: bool = False) -> None:
        self.path = path
        self._ids = itertools.count(1)
        with closing(sqlite3.connect(path)) as connection:
            if wal:
                connection.execute("PRAGMA journal_mode = WAL")
            for name, columns in tables.items():
                connection.execute(f"CREATE TABLE {name} ({columns})")

    def key(self, **fields: Any) -> str:
        number = next(self._ids)
        plain = {"id": f"vk-{number}", "name": f"key {number}", "value": f"sk-bf-{number}", "is_active": 1}
        return self.add("governance_virtual_keys", plain | fields)

    def limit(self, model_name: Any = "gpt-4o", **fields: Any) -> str:
        return self.add("governance_model_configs", {"id": f"lim-{next(self._ids)}", "model_name": model_name} | fields)

    def budget(self, limit: str | None = None, **fields: Any) -> str:
        owner = {} if limit is None else {"model_config_id": limit}
        plain = {"id": f"bud-{next(self._ids)}", "max_limit": 10.0, "reset_duration": "1d", "last_reset": MADE}
        return self.add("governance_budgets", plain | owner | fields)

    def rate_limit(self, **fields: Any) -> str:
        return self.add("governance_rate_limits", {"id": f"rate-{next(self._ids)}"} | fields)

    def price(self, pattern: Any = "llama", patch: Any = '{"input_cost_per_token":4e-07}', **fields: Any) -> str:
        plain = {"id": f"price-{next(self._ids)}", "name": "own", "scope_kind": "global", "match_type": "exact"}
        values = {"pattern": pattern, "pricing_patch_json": patch}
        return self.add("governance_pricing_overrides", plain | values | fields)

    def provider(self, name: Any = "openai", **fields: Any) -> int:
        return self.add("config_providers", {"id": next(self._ids), "name": name} | fields)

    def provider_config(self, key: Any, provider: Any = "openai", **fields: Any) -> int:
        row = {"id": next(self._ids), "virtual_key_id": key, "provider": provider} | fields
        self.run("governance_virtual_key_provider_configs", [row])
        return row["id"]

    def team(self, **fields: Any) -> str:
        """Add a team. The first call creates the table."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS governance_teams ({TEAM})")
        return self.add("governance_teams", {"id": f"team-{next(self._ids)}", "name": "team"} | fields)

    def add(self, table: str, row: dict[str, Any]) -> Any:
        """Add a row with times of creation. It is committed at once."""
        self.run(table, [{"created_at": MADE, "updated_at": MADE} | row])
        return row["id"]

    def run(self, table: str, rows: list[dict[str, Any]]) -> None:
        columns = list(rows[0])
        holes = ", ".join(f":{column}" for column in columns)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holes})", rows)


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def example(path: Path, today: str) -> BifrostStore:
    """Make the small store of docs/from-bifrost.md.

    It is the store of a company that has used some of its limits since midnight of `today`.
    """
    store = BifrostStore(path, LATER)
    midnight, now = f"{today} 00:00:00+00:00", f"{today} 08:30:00.25+00:00"
    store.key(id="vk-platform", name="platform", value=KEY_VALUE, value_hash=sha256(KEY_VALUE))
    store.key(id="vk-sealed", name="sealed", value="b64:9f3a…", encryption_status="encrypted")
    store.limit("claude-opus-4-1", id="lim-opus", provider="anthropic", rate_limit_id="rate-opus")
    store.budget("lim-opus", id="bud-opus-day", max_limit=20.0, last_reset=now, current_usage=3.30000000000000007)
    store.budget(
        "lim-opus", id="bud-opus-month", max_limit=300, reset_duration="1M", last_reset=MADE, current_usage=41.5
    )
    store.rate_limit(id="rate-opus", request_max_limit=15, request_reset_duration="1m", request_last_reset=now)
    scoped = {"scope": "virtual_key", "calendar_aligned": 1}
    store.limit("*", id="lim-platform", scope_id="vk-platform", **scoped)
    store.budget("lim-platform", id="bud-platform", max_limit=50, last_reset=midnight, current_usage=12.25)
    store.limit("gpt-5", id="lim-gpt", provider="openai")
    store.budget("lim-gpt", id="bud-gpt", max_limit=100, reset_duration="1W")
    store.limit("gpt-5-mini", id="lim-sealed", scope_id="vk-sealed", **scoped)
    store.budget(id="bud-team", max_limit=5000, reset_duration="1M", team_id="team-research")
    return store


if __name__ == "__main__":
    example(Path(sys.argv[1]), sys.argv[2])
