"""Libraries are used as documented: no private names, and no override that the documentation does not offer."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
import governance
import schemas
from tests.web.worker.test_gunicorn import OVERRIDDEN, RELIED_ON

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "app.py", *sorted((ROOT / "governance").rglob("*.py")), *sorted((ROOT / "schemas").rglob("*.py"))]

OFFERED = {
    ("flask.app", "request_class"): "The class that is used for request objects.",
    ("flask.app", "response_class"): "The class that is used for response objects.",
    ("flask.app", "ensure_sync"): "Override this method to change how the app runs async views.",
    ("flask.wrappers", "get_wsgi_response"): "Returns the final WSGI response as tuple.",
    ("werkzeug.routing", "regex"): "Custom converters: subclass BaseConverter and set its regex.",
    ("werkzeug.routing", "part_isolating"): "If the pattern includes a '/', set part_isolating to False.",
    ("marshmallow.schema", "Meta"): "Options object for a Schema.",
    ("marshmallow.schema", "error_messages"): "Overrides for default schema-level error messages.",
    ("marshmallow.fields", "_deserialize"): "Subclass Field and implement its _serialize and/or _deserialize.",
    ("marshmallow.fields", "default_error_messages"): "At the class level, default error messages are a mapping.",
    ("marshmallow.fields", "__init__"): "Python's own: the arguments of a custom field.",
    ("apispec.plugin", "schema_helper"): "Writing plugins: may return definition as a dict.",
    ("apispec.ext", "init_spec"): "Writing plugins: initialize plugin with APISpec object.",
    ("sqlalchemy.sql", "type"): "Custom SQL constructs: class utcnow(expression.FunctionElement): type = DateTime().",
    (
        "sqlalchemy.sql",
        "inherit_cache",
    ): "Custom SQL constructs: class coalesce(FunctionElement): inherit_cache = True.",
    ("itsdangerous.timed", "get_timestamp"): "Returns the current timestamp. The function must return an integer.",
    ("click.types", "name"): "Implementing custom types: name is optional, and is used for documentation.",
    ("click.types", "convert"): "Implementing custom types: subclass ParamType and override the convert() method.",
    ("gunicorn.workers", "__init__"): "This is called pre-fork so it shouldn't do anything to the current process.",
    ("gunicorn.app", "load_config"): "You have to override this method in your class.",
    ("gunicorn.app", "load"): "Custom application: class StandaloneApplication(BaseApplication): def load(self).",
    ("gunicorn.workers", "run"): "You should override this method in a subclass to provide the intended behaviour.",
}
"""The methods of libraries that our subclasses override, with the sentence of the documentation that offers it."""
DEBTS = {
    ("marshmallow.fields", "make_error"): "public, not offered: ours puts a field's name into messages",
    ("flask.cli", "invoke"): "public in click, not offered: ours turns errors into one line",
    ("gunicorn.workers", "check_config"): "refuses TLS and the PROXY protocol, after gunicorn's own check",
    ("gunicorn.workers", "accept"): "takes several peers in one turn, none of which a thread waits for",
    ("gunicorn.workers", "handle"): "answers one complete message in a thread",
    ("gunicorn.workers", "handle_error"): "answers in the service's one shape",
    ("gunicorn.workers", "finish_request"): "sends what the peer did not take at once, in the loop",
    ("gunicorn.workers", "murder_keepalived"): "ends every wait for a peer, not only that between two requests",
}
"""Public names that the documentation does not offer for overriding.

gunicorn offers to subclass its workers ("a Python path to a subclass of gunicorn.workers.base.Worker"), and says of two
methods what an override shall do. For the other methods, `tests/web/worker/test_gunicorn.py` compares hashes of the
source, and fails when gunicorn changes it.
"""
PUBLIC = {
    "_replace": "collections.namedtuple: methods begin with an underscore so that they are no field's name",
    "_asdict": "collections.namedtuple, likewise",
    "_make": "collections.namedtuple, likewise",
    "_fields": "collections.namedtuple, likewise",
    "_get_current_object": "Flask, on proxies: 'If you need access to the underlying object that is proxied, use' it",
}
"""Names that begin with an underscore but are documented."""
HOOK_TABLES = {
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "teardown_appcontext_funcs",
    "url_value_preprocessors",
    "url_default_functions",
}
OF_METACLASSES = {
    "_hooks",
    "_abc_impl",
    "_declared_fields",
    "opts",
    "__abstractmethods__",
    "__slotnames__",
    "_compiler_dispatch",
    "_generated_cache_key_traversal",
}


class Plain:
    """A class with only the names that every class has. They differ between the versions of Python."""


OF_PYTHON = {*dir(Plain)} - {"__init__"} | {"__annotations__", "__parameters__", "__orig_bases__"}
LIBRARIES = {
    "apispec",
    "cachetools",
    "click",
    "flask",
    "flask_sqlalchemy",
    "gunicorn",
    "itsdangerous",
    "marshmallow",
    "sqlalchemy",
    "werkzeug",
}
LOOKED_UP = {"getattr", "setattr", "hasattr", "delattr"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__")) and name not in PUBLIC


def own(node: ast.expr) -> bool:
    """Return whether a node is `self`, `cls` or `super()`."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    return called or (isinstance(node, ast.Name) and node.id in {"self", "cls"})


def private_uses(source: str) -> Iterator[str]:
    """Yield the private names of other projects that a module uses, and Flask's tables of hooks."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=value, attr=name) if is_private(name) and not own(value):
                yield name
            case ast.Attribute(attr=name) if name in HOOK_TABLES:
                yield name
            case ast.Call(func=ast.Name(id=called), args=[value, ast.Constant(value=str(name)), *_]):
                if called in LOOKED_UP and not own(value) and (is_private(name) or name in HOOK_TABLES):
                    yield name
            case ast.ImportFrom(module=module, names=names):
                yield from (part for part in (module or "").split(".") if is_private(part))
                yield from (alias.name for alias in names if is_private(alias.name))
            case ast.Import(names=names):
                yield from (part for alias in names for part in alias.name.split(".") if is_private(part))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_uses_what_is_private_to_another(path):
    assert list(private_uses(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "response._status",
        "self.app._got_first_request",
        "getattr(schema, '_hooks')",
        "from flask import _x",
        "import a._b",
        "self.before_request_funcs[None]",
    ],
)
def test_a_private_name_is_found(line):
    assert len(list(private_uses(line))) == 1


@pytest.mark.parametrize("line", ["self._own", "cls._own", "super()._deserialize(value)", "row._replace(id=1)"])
def test_what_is_our_own_or_documented_passes(line):
    assert list(private_uses(line)) == []


def borrowers() -> Iterator[tuple[type, list[type]]]:
    """Return our classes that derive from a class of a library, with their base classes in the library."""
    packages = [pkgutil.walk_packages(package.__path__, f"{package.__name__}.") for package in (governance, schemas)]
    modules = [app, *(importlib.import_module(found.name) for package in packages for found in package)]
    for module in modules:
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                theirs = [base for base in value.__mro__ if base.__module__.split(".")[0] in LIBRARIES]
                if theirs:
                    yield value, theirs


def overridden() -> dict[tuple[str, str], list[str]]:
    """Return the names that both our classes and their library's classes define.

    The keys are the library's module and the name.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for ours, theirs in borrowers():
        known = {name for base in theirs for name in (*vars(base), *inspect.get_annotations(base))}
        place = ".".join(theirs[0].__module__.split(".")[:2])
        for name in set(vars(ours)) & known - OF_METACLASSES - OF_PYTHON:
            found.setdefault((place, name), []).append(ours.__name__)
    return found


def test_our_classes_define_of_theirs_what_the_documentation_offers():
    assert set(overridden()) == set(OFFERED) | set(DEBTS), overridden()


def test_each_debt_to_gunicorn_is_held_to_the_source_that_was_read():
    debts = {name for place, name in DEBTS if place == "gunicorn.workers"}
    assert debts == OVERRIDDEN - {"__init__", "run"}
    assert debts <= {read.__name__ for read in RELIED_ON}


def test_our_classes_use_nothing_private_that_they_inherit():
    used = set()
    for ours, theirs in borrowers():
        inherited = {name for base in theirs for name in dir(base) if is_private(name)}
        tree = ast.parse(inspect.getsource(inspect.getmodule(ours)))
        (body,) = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == ours.__name__]
        names = {node.attr for node in ast.walk(body) if isinstance(node, ast.Attribute) and own(node.value)}
        used |= names & inherited
    assert used == {"_deserialize"}
