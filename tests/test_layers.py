"""Folders are layers. The test reads every module's imports and fails on one that is not allowed."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.layers import LAYERS, PARTS, SUBJECTS, against_the_layers, layer_of, subject_of, tables, within

ROOT = Path(__file__).resolve().parents[1]
OURS = ("governance", "schemas")

WEB_FRAMEWORKS = {"flask", "flask_sqlalchemy", "werkzeug", "jinja2", "click", "gunicorn", "apispec"}
STARTING = (
    "governance.startup",
    "governance.reload",
    "governance.network_exposure",
    "governance.greeting",
    "governance.gunicorn_config",
    "governance.server",
    "governance.__main__",
    "app",
    "wsgi",
    "gunicorn.conf",
)
WEB_PLACES = ("governance.container", "governance.web", "governance.cli", *STARTING)
SQL_PLACES = ("governance.storage",)
SQL_VALUE_PLACES = ("governance.services",)
SQL_VALUES = {"sqlalchemy.engine.Connection"}
"""The only name of SQLAlchemy that services may use. It is the type of the transaction that they pass on."""
VERSION = {"governance", "governance.__version__"}
ASSEMBLERS = ("governance.cli", *STARTING)


def imported(source: str, module: str, *, package: bool = False) -> Iterator[str]:
    """Yield the dotted names that a module imports, anywhere in it. `from a import b` is `a.b`."""
    own = module.split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = own[: len(own) - node.level + package] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def faults(module: str, names: list[str]) -> list[str]:
    """Return the imports of a module that are not allowed."""
    return [f"{module} imports {name}: {why}" for name in names if (why := refused(module, name))]


def refused(module: str, name: str) -> str | None:
    """Return why a module may not import a name, or None if it may."""
    if name in VERSION:
        return None
    if layer_of(module) and (name.partition(".")[0] in OURS or within(name, ASSEMBLERS)):
        return against_the_layers(module, name)
    return foreign(module, name)


def foreign(module: str, name: str) -> str | None:
    """Return why a module may not import a name from another project."""
    top = name.partition(".")[0]
    in_storage, in_domain = within(module, SQL_PLACES), within(module, {"governance.domain"})
    a_value = within(module, SQL_VALUE_PLACES) and name in SQL_VALUES
    complaints = {
        "the domain knows the standard library only": in_domain and top not in sys.stdlib_module_names,
        "the web does not belong here": top in WEB_FRAMEWORKS and not within(module, WEB_PLACES),
        "migrations belong to storage": top == "alembic" and not in_storage,
        "SQL belongs to storage": top in {"sqlalchemy", "sqlite3"} and not in_storage and not a_value,
    }
    return next((complaint for complaint, applies in complaints.items() if applies), None)


def modules() -> list[tuple[str, Path]]:
    """Return every module of the project, with its dotted name."""
    files = [ROOT / "app.py", ROOT / "wsgi.py", ROOT / "gunicorn.conf.py"]
    files += [file for folder in OURS for file in sorted((ROOT / folder).rglob("*.py"))]
    return [(dotted(file), file) for file in files]


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize(("module", "file"), modules(), ids=[name for name, _ in modules()])
def test_a_module_imports_only_what_is_below_it(module: str, file: Path):
    names = list(imported(file.read_text(), module, package=file.name == "__init__.py"))
    assert faults(module, names) == []


def test_every_layer_exists_and_every_module_is_in_one_or_assembles_them():
    known = {name for name, _ in modules()}
    assert set(LAYERS) | set(PARTS) <= known
    assert {name for name in known if not within(name, {*LAYERS, *ASSEMBLERS})} == {"governance"}


def test_every_subject_has_modules_and_knows_what_exists():
    assert {subject_of(name) for name, _ in modules()} - {None} == set(SUBJECTS)
    assert set().union(*SUBJECTS.values()) <= set(SUBJECTS)


@pytest.mark.parametrize("layer", LAYERS)
def test_no_two_folders_of_a_layer_know_each_other(layer: str):
    """The imports between the folders of one layer form no circle."""
    arrows: dict[str, set[str]] = {}
    for module, file in modules():
        if within(module, {layer}):
            known = imported(file.read_text(), module, package=file.name == "__init__.py")
            others = {room_of(name) for name in known if within(name, {layer})}
            arrows.setdefault(room_of(module), set()).update(others - {room_of(module)})
    assert list(TopologicalSorter(arrows).static_order())


@cache
def room_of(name: str) -> str:
    """Return the folder of a dotted name. If the module is in no folder, return the module."""
    parts = name.split(".")
    places = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    files = [place for place in places if (ROOT / f"{place.replace('.', '/')}.py").exists()]
    folders = [place for place in places if (ROOT / place.replace(".", "/")).is_dir()]
    if folders[-1] in LAYERS or folders[-1] == "governance.storage.sqlite":
        return files[-1] if files else folders[-1]
    return folders[-1]


def test_the_architecture_page_shows_the_tables():
    assert tables() in (ROOT / "ARCHITECTURE.md").read_text(), "Put in what `python -m tests.layers` prints."


UPWARD = [
    ("governance.domain.limits.limit", "from governance.storage import tables"),
    ("governance.domain.limits.limit", "from governance import settings"),
    ("governance.domain.limits.limit", "from ...storage import tables"),
    ("governance.domain.limits.limit", "import orjson"),
    ("governance.domain.limits.limit", "def late():\n    import marshmallow"),
    ("governance.settings", "from schemas import fields"),
    ("schemas.fields", "from governance.settings import Settings"),
    ("schemas.fields", "from flask import request"),
    ("governance.storage.limits.writes", "from governance.snapshot.cache import SnapshotCache"),
    ("governance.storage.limits.writes", "import governance.services.users"),
    ("governance.snapshot.cache", "from governance.storage.database import Database"),
    ("governance.snapshot.cache", "from governance import storage"),
    ("governance.snapshot.cache", "from sqlalchemy.engine import Connection"),
    ("governance.snapshot.cache", "import sqlite3"),
    ("governance.services.keys.users", "from governance.web.context import governance"),
    ("governance.services.keys.users", "from app import create_app"),
    ("governance.services.keys.users", "from flask import current_app"),
    ("governance.services.keys.users", "from sqlalchemy import select"),
    ("governance.services.keys.users", "from sqlalchemy.engine import Engine"),
    ("governance.services.keys.users", "from alembic import command"),
    ("governance.services.keys.users", "from governance.settings import Settings"),
    ("governance.web.api.users", "from governance.startup import prepare"),
    ("governance.web.api.users", "from sqlalchemy.engine import Connection"),
    ("app", "from sqlalchemy import text"),
    ("governance.cli", "import alembic"),
]


@pytest.mark.parametrize(("module", "source"), UPWARD)
def test_an_invented_upward_import_is_caught(module: str, source: str):
    assert len(faults(module, list(imported(source, module)))) == 1


DOWNWARD = [
    ("governance.domain.limits.limit", "from governance.domain.windows import window\nimport zoneinfo"),
    (
        "governance.services.keys.users",
        "from sqlalchemy.engine import Connection\nfrom governance.storage import users",
    ),
    ("governance.web.api.users", "from flask import request\nfrom governance.services.users import Users"),
    ("governance.storage.keys.users", "from . import named\nfrom sqlalchemy import select"),
    ("governance.startup", "from flask import Flask\nfrom governance.storage import migrations"),
    ("app", "from flask_sqlalchemy import SQLAlchemy\nfrom governance.storage.tables import metadata"),
]


@pytest.mark.parametrize(("module", "source"), DOWNWARD)
def test_an_import_of_what_is_below_passes(module: str, source: str):
    assert faults(module, list(imported(source, module))) == []
