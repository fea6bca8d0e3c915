"""Only `storage/sqlite/` uses features of SQLite. Every other statement is valid in PostgreSQL too."""

import ast
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, column, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import custom_op

from app import db
from governance.domain.times import rfc3339
from governance.storage.functions import contains, is_one_of
from governance.storage.tables import metadata, tombstones, users
from tests.bifrost.stores import example
from tests.storage.rows import add as add_user
from tests.test_layers import imported, modules, within

POSTGRESQL = postgresql.dialect()
SPEAKERS = ("governance.storage.sqlite", "governance.storage.bifrost.reader", "governance.storage.bifrost.unread")
"""The modules that may use SQLite: the implementation of storage, and the reader of Bifrost's file, which is SQLite."""
FOLDER = "governance/storage/sqlite/"
FUNCTIONS = {"count", "coalesce", "max", "min", "sum", "strpos"}
"""The functions that both databases have. `strpos` has a form for each database (`storage/functions.py`)."""
FORBIDDEN_MODULES = {"sqlite3", "sqlalchemy.dialects", "sqlalchemy.text", "sqlalchemy.literal_column"}
FORBIDDEN_CALLS = {"exec_driver_sql", "on_conflict_do_update", "on_conflict_do_nothing", "prefix_with", "op"}
OF_SQLITE = re.compile(
    r"\bPRAGMA\b|json_each|json_group|sqlite_(sequence|master|schema)|\browid\b|INSERT OR |BEGIN (IMMEDIATE|DEFERRED)"
)
RAW = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|BEGIN|CREATE|ALTER|DROP)\s+[\w(*].*", re.DOTALL)


def faults(source: str, module: str) -> list[str]:
    """Return the parts of a module that only SQLite understands."""
    tree = ast.parse(source)
    found = [f"imports {name}" for name in imported(source, module) if within(name, FORBIDDEN_MODULES)]
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            if OF_SQLITE.search(node.value) or RAW.match(node.value):
                found.append(f"says {node.value!r}")
        elif isinstance(node, ast.Attribute):
            of_func = isinstance(node.value, ast.Name) and node.value.id == "func"
            if node.attr in FORBIDDEN_CALLS or (of_func and node.attr not in FUNCTIONS):
                found.append(f"uses {node.attr}")
    return found


SILENT = [(module, file) for module, file in modules() if not within(module, set(SPEAKERS))]


@pytest.mark.parametrize(("module", "file"), SILENT, ids=[module for module, _ in SILENT])
def test_module_says_nothing_that_only_sqlite_understands(module: str, file: Path):
    assert faults(file.read_text(), module) == []


@pytest.mark.parametrize(
    "source",
    [
        "import sqlite3",
        "def late():\n    from sqlite3 import Error",
        "from sqlalchemy.dialects.sqlite import insert",
        "from sqlalchemy.dialects import sqlite",
        "from sqlalchemy import text",
        "connection.exec_driver_sql(statement)",
        'name = "PRAGMA user_version"',
        'ids = f"SELECT value FROM json_each({rows})"',
        'last = "seq FROM sqlite_sequence"',
        'connection.execute("UPDATE users SET name = 1")',
        "func.instr(name, part) > 0",
        "func.json_group_array(name)",
        "statement.on_conflict_do_update(index_elements=['id'])",
    ],
)
def test_invented_sqlite_is_caught(source: str):
    assert len(faults(source, "governance.services.keys.users")) == 1


def statement_faults(statement: Any, keys: list[str] | None = None) -> list[str]:
    """Return why a statement is not valid in PostgreSQL."""
    try:
        statement.compile(dialect=POSTGRESQL, column_keys=keys)
    except Exception as error:  # noqa: BLE001 - any error means that it cannot be compiled
        return [f"{statement}: {error}"]
    parts = list(visitors.iterate(statement))
    return [
        *(f"{part} is raw" for part in parts if part.__visit_name__ in ("textclause", "text")),
        *(f"{part.name}()" for part in parts if isinstance(part, FunctionElement) and part.name not in FUNCTIONS),
        *(f"{part} is an operator" for part in parts if isinstance(getattr(part, "operator", None), custom_op)),
        *(f"{part} is SQLite's" for part in parts if type(part).__module__.startswith("sqlalchemy.dialects.sqlite")),
    ]


def issuer() -> str:
    """Return the path of the project's module that has just sent a statement."""
    frame = sys._getframe(1)
    while frame is not None and "/governance/" not in frame.f_code.co_filename:
        frame = frame.f_back
    return "" if frame is None else "governance/" + frame.f_code.co_filename.rpartition("/governance/")[2]


class Heard:
    """The statements and raw text that were executed on any engine while it listened, each with its module.

    An engine is identified by its dialect. An engine made with `execution_options` has the same dialect, and `dispose`
    gives an engine another pool.
    """

    def __init__(self) -> None:
        self.statements: dict[str, Any] = {}
        self.faults: list[str] = []
        self.raw: set[tuple[str, str]] = set()
        self.issuers: dict[Dialect, Counter[str]] = defaultdict(Counter)

    def execute(self, _: Any, statement: Any, many: Any, one: Any, __: Any) -> None:
        by = issuer()
        if by.startswith(FOLDER):
            return
        row = many[0] if many else one
        keys = sorted(row) if isinstance(row, dict) and row else None
        shown = f"{by}: {statement}"
        if shown not in self.statements:
            self.statements[shown] = statement
            self.faults += [f"{by}: {fault}" for fault in statement_faults(statement, keys)]

    def cursor(self, connection: Any, _: Any, statement: str, __: Any, context: Any, ___: Any) -> None:
        self.issuers[connection.dialect][issuer()] += 1
        if context is None or context.compiled is None:
            self.raw.add((issuer(), statement))


@contextmanager
def listening() -> Iterator[Heard]:
    """Listen to every statement of every engine that SQLAlchemy has, or creates in the block."""
    heard = Heard()
    event.listen(Engine, "before_execute", heard.execute)
    event.listen(Engine, "before_cursor_execute", heard.cursor)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_execute", heard.execute)
        event.remove(Engine, "before_cursor_execute", heard.cursor)


LIMIT = {
    "budget": {"max_limit": 10, "reset_duration": "1d"},
    "rate_limits": [{"token_max_limit": 1000, "token_reset_duration": "1h"}],
}
FILE = {
    "governance": {
        "virtual_keys": [{"id": "vk-file", "name": "From a file", "value": "sk-bf-0123456789abcdef"}],
        "users": [{"id": "ann", "name": "Ann"}],
        "budgets": [{"id": "b-file", "max_limit": 5, "reset_duration": "1M"}],
        "model_configs": [{"id": "m-file", "model_name": "gpt-5", "budget_id": "b-file"}],
    }
}


def ok(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.get_json()


def manage(api: Any) -> dict[str, Any]:
    """Do what operators do over HTTP. Leave a limit, a virtual key and an API key."""
    key = ok(api.post("virtual-keys", {"name": "team"}))["virtual_key"]
    second = ok(api.post("virtual-keys", {"name": "other"}))["virtual_key"]
    ok(api.put(f"virtual-keys/{key['id']}", {"name": "Team", "is_active": True}))
    user = ok(api.post("users", {"id": "bob", "name": "Bob"}))["user"]
    ok(api.put(f"users/{user['id']}", {"name": "Robert"}))
    limit = api.create(**LIMIT)
    api.create(scope="virtual_key", scope_id=key["id"], **LIMIT)
    api.create("gpt-4o-mini", scope="user", scope_id="bob")
    ok(api.put(f"model-configs/{limit['id']}", {"budget": {"max_limit": 20, "reset_duration": "1h"}}))
    ok(api.put(f"model-configs/{limit['id']}", {"reset_usage": True}))
    ok(api.delete(f"virtual-keys/{second['id']}"))
    made = ok(api.post("/api/api-keys", {"name": "reader", "scopes": ["read"]}))["api_key"]
    ok(api.with_key(made["key"]).get("model-configs"))
    return {"limit": limit, "key": key, "made": made}


def read(api: Any, known: dict[str, Any]) -> None:
    """Read every list and every single object, from the database and from memory."""
    orders = [f"sort_by={by}&order={way}" for by in ("created_at", "model_name", "usage") for way in ("asc", "desc")]
    filters = ["search=gpt", "scope=global", "provider=openai", f"scope_id={known['key']['id']}", "offset=1&limit=1"]
    for query in ["", *orders, *filters]:
        for memory in (False, True):
            api.list(query, memory=memory)
    for path in ("budgets", "rate-limits", "virtual-keys", "virtual-keys?search=t", "users", "users?search=b"):
        ok(api.get(path))
    for path in ("/api/api-keys", "audit", "audit?entity=model_config&action=create", "reservations"):
        ok(api.get(path))
    for path in (f"model-configs/{known['limit']['id']}", f"virtual-keys/{known['key']['id']}", "users/bob"):
        ok(api.get(path))
    for path in ("/metrics", "/readyz", "/healthz"):
        assert api.get(path).status_code == 200


def meter(api: Any, known: dict[str, Any], clock: Any) -> None:
    """Do what gateways do, including a denied call."""
    call = {"model": "gpt-4o", "virtual_key_id": known["key"]["id"], "cost": 0.01, "tokens": 10}
    held = [ok(api.post("reservations", call, headers={"Idempotency-Key": f"{n}"})) for n in range(4)]
    one, two, three, _ = (each["reservation"]["id"] for each in held)
    ok(api.post(f"reservations/{one}/settle", {"cost": 0.02, "tokens": 5}))
    ok(api.post(f"reservations/{two}/release"))
    ok(api.post(f"reservations/{three}/extend", {"ttl_seconds": 60}))
    ok(api.get(f"reservations/{one}"))
    ok(api.post("usage", call))
    ok(api.post("check", call))
    for _ in range(2):
        assert api.post("reservations", call | {"cost": 1000}).status_code == 402
    clock.advance(10_000)


def maintain(app: Any, governance: Any, known: dict[str, Any], folder: Path) -> None:
    """Do what a worker does without a request, and run every command."""
    for _ in range(2):
        governance.poller.poll()
    governance.pruner.poll()
    (folder / "limits.json").write_text(json.dumps(FILE))
    example(folder / "bifrost.db", rfc3339(governance.health._clock()))
    run = app.test_cli_runner()
    for words in (
        f"sync {folder}/limits.json --yes",
        f"sync {folder}/limits.json --dry-run",
        f"export {folder}/out.json",
        f"sync {folder}/out.json --yes --prune",
        f"check {folder}/limits.json",
        f"import-bifrost {folder}/bifrost.db",
        "verify",
        "doctor",
        "limits list",
        f"limits show {known['limit']['id']}",
        "limits show gpt-4o",
        "usage",
        "audit",
        "keys list",
        "virtual-keys list",
        f"keys revoke {known['made']['id']}",
    ):
        result = run.invoke(args=["governance", *words.split()])
        assert result.exit_code in (0, 1), (words, result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exc_info)


def forget(api: Any, known: dict[str, Any]) -> None:
    for path in (f"model-configs/{known['limit']['id']}", f"virtual-keys/{known['key']['id']}", "users/bob"):
        ok(api.delete(path))


@pytest.fixture
def heard(app: Any, api: Any, governance: Any, clock: Any, tmp_path: Path) -> Heard:
    """Return everything that a service executes after its start. The start migrates before, on another engine."""
    with listening() as heard:
        known = manage(api)
        read(api, known)
        meter(api, known, clock)
        maintain(app, governance, known, tmp_path)
        read(api, known)
        forget(api, known)
    return heard


def test_every_statement_is_one_of_postgresql_too_and_none_has_another_engine(app: Any, heard: Heard):
    assert heard.faults == []
    assert len(heard.statements) > 80
    assert {by for by, _ in heard.raw if not by.startswith(FOLDER)} == set()
    with app.app_context():
        own = heard.issuers.pop(db.engine.dialect)
    assert own.total() > 200
    assert dict(heard.issuers) == {}


def test_statement_of_another_engine_is_heard(database: Any, opened: Any, path: Path):
    with listening() as heard:
        for each in (database, opened(path)):
            with each.write() as connection:
                add_user(connection, f"user {id(each)}")
    assert len(heard.issuers) == 2


@pytest.mark.parametrize(
    "statement",
    [
        select(func.instr(users.c.name, "a")),
        select(func.json_group_array(users.c.name)),
        select(users.c.id).where(text("rowid = 1")),
        text("PRAGMA user_version"),
        sqlite_insert(tombstones).prefix_with("OR REPLACE").values(entity="a", id="b", revision=1),
        sqlite_insert(tombstones).values(entity="a", id="b", revision=1).on_conflict_do_nothing(),
        select(users.c.id).where(users.c.name.op("GLOB")("a*")),
    ],
)
def test_invented_statement_of_sqlite_is_caught(statement: Any):
    assert statement_faults(statement) != []


def test_search_has_the_form_of_each_database():
    statement = select(users.c.id).where(contains(users.c.search_name, column("part")))
    assert "strpos(users.search_name, part) > " in str(statement.compile(dialect=POSTGRESQL))
    assert "instr(users.search_name, part) > " in str(statement.compile(dialect=sqlite.dialect()))


def test_numbers_of_an_array_have_the_form_of_each_database():
    statement = select(users.c.id).where(is_one_of(users.c.revision, [2, 1]))
    assert "users.revision IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(" in str(
        statement.compile(dialect=POSTGRESQL)
    )
    assert "users.revision IN (SELECT value FROM json_each(" in str(statement.compile(dialect=sqlite.dialect()))


def test_every_table_and_index_can_be_made_in_postgresql():
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=POSTGRESQL))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=POSTGRESQL))
    [opened] = [index for index in metadata.tables["reservations"].indexes if index.name == "ix_reservations_open"]
    assert "WHERE status = 'open'" in str(CreateIndex(opened).compile(dialect=POSTGRESQL))
