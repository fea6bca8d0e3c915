"""Services use storage only through its protocols, so no service depends on one kind of database."""

from pathlib import Path

from tests.test_layers import imported, modules, within

SQLITE = "governance.storage.sqlite"
FILE_LIFE = ("governance.services.operations",)
"""Services that manage the database file may know its kind."""


def sqlite_imports(module: str, file: Path) -> list[str]:
    return [name for name in imported(file.read_text(), module) if within(name, {SQLITE})]


def test_services_import_nothing_of_sqlite():
    services = [(m, f) for m, f in modules() if within(m, {"governance.services"}) and not within(m, FILE_LIFE)]
    assert len(services) > 20
    assert {module: found for module, file in services if (found := sqlite_imports(module, file))} == {}


def test_storage_beside_the_sqlite_folder_imports_nothing_of_it():
    beside = [(m, f) for m, f in modules() if within(m, {"governance.storage"}) and not within(m, {SQLITE})]
    assert {module: found for module, file in beside if (found := sqlite_imports(module, file))} == {}
