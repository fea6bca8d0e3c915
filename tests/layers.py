"""The imports that are allowed between layers and subjects.

`python -m tests.layers` prints the tables of ARCHITECTURE.md.
"""

import sys
from typing import NamedTuple


class Layer(NamedTuple):
    """A folder: its contents, and the lower layers that it may import."""

    holds: str
    below: tuple[str, ...]


LAYERS = {
    "governance.domain": Layer("pure values and functions, with the standard library only", ()),
    "governance.settings": Layer("the settings: one frozen value", ("governance.domain",)),
    "schemas": Layer(
        "marshmallow: the shape of what comes in; `render.py`: the one renderer of what goes out",
        ("governance.domain",),
    ),
    "governance.storage": Layer("every SQL statement, and the life of the file", ("schemas", "governance.domain")),
    "governance.snapshot": Layer(
        "the in-process cache: lists without SQL; it is handed its loader", ("schemas", "governance.domain")
    ),
    "governance.services": Layer(
        "the acts, without Flask or SQL text",
        ("governance.snapshot", "governance.storage", "schemas", "governance.domain"),
    ),
    "governance.container": Layer(
        "the assembled services, as `web/` and `cli/` see them",
        (
            "governance.services",
            "governance.snapshot",
            "governance.storage",
            "governance.settings",
            "governance.domain",
        ),
    ),
    "governance.web": Layer(
        "Flask: what every request goes through, the endpoints, OpenAPI; the worker of gunicorn",
        (
            "governance.container",
            "governance.services",
            "governance.settings",
            "schemas",
            "governance.domain",
        ),
    ),
    "governance.cli": Layer(
        "`flask governance …`: thin, like `web/`",
        ("governance.container", "governance.services", "governance.settings", "schemas", "governance.domain"),
    ),
}

SUBJECTS = {
    "limits": {"keys", "records"},
    "keys": {"limits", "records"},
    "records": {"limits", "keys", "pricing"},
    "metering": {"limits", "keys", "records", "pricing", "history"},
    "pricing": {"limits", "records"},
    "history": {"limits", "metering", "records"},
    "config": {"limits", "keys", "records", "pricing"},
    "bifrost": {"limits", "keys", "records", "pricing"},
    "operations": {"sqlite", "limits", "keys", "records", "metering", "pricing", "history"},
    "audit": {"limits", "keys", "records", "pricing"},
    "changes": {"limits", "keys", "records", "pricing"},
    "gateways": {"limits", "metering", "pricing", "records"},
    "sqlite": {"limits", "metering", "history"},
}
"""The other subjects that a subject may import, in its own layer and in lower ones. All may import code without a
subject."""

WITH_SUBJECTS = ("governance.domain", "schemas", "governance.storage", "governance.services")
"""The layers whose folders are subjects."""

WITHOUT_FOLDER = {
    "schemas.keys": "keys",
    "schemas.metering": "metering",
    "governance.storage.audit": "audit",
    "governance.storage.changes": "changes",
    "governance.services.audit": "audit",
}
"""The modules that are the only one of their subject in a layer."""

PARTS = {
    "governance.web.http": set(),
    "governance.web.docs": {"governance.web.http"},
    "governance.web.api": {"governance.web.docs", "governance.web.http"},
    "governance.web.gateways": {"governance.web.http"},
    "governance.web.worker": {"governance.web.http"},
    "governance.web.dashboard": {"governance.web.http"},
    "governance.cli.terminal": set(),
    "governance.storage.sqlite.locks": set(),
    "governance.storage.sqlite.database": {"governance.storage.sqlite.locks"},
    "governance.storage.sqlite.writer": {"governance.storage.sqlite.database", "governance.storage.sqlite.locks"},
    "governance.storage.sqlite.retention": {
        "governance.storage.sqlite.writer",
        "governance.storage.sqlite.database",
        "governance.storage.sqlite.locks",
    },
    "governance.storage.sqlite.files": {
        "governance.storage.sqlite.retention",
        "governance.storage.sqlite.database",
        "governance.storage.sqlite.locks",
    },
}
"""Folders whose parts are steps and not subjects, with the parts that each part may import."""


def within(name: str, places: set[str] | tuple[str, ...]) -> bool:
    """Return whether a dotted name is one of these places, or inside one."""
    return any(name == place or name.startswith(place + ".") for place in places)


def layer_of(name: str) -> str | None:
    """Return the layer of a dotted name."""
    return next((layer for layer in LAYERS if within(name, {layer})), None)


def subject_of(name: str) -> str | None:
    """Return the subject of a dotted name. Return None if all subjects may import it."""
    for module, subject in WITHOUT_FOLDER.items():
        if within(name, {module}):
            return subject
    layer = layer_of(name)
    first = name.removeprefix(f"{layer}.").partition(".")[0] if layer in WITH_SUBJECTS else None
    return first if first in SUBJECTS else None


def part_of(name: str) -> str | None:
    """Return the part of a folder that contains a dotted name."""
    return next((part for part in PARTS if within(name, {part})), None)


def against_the_layers(module: str, name: str) -> str | None:
    """Return why a module may not import a name of this project, or None if it may."""
    layer, other = layer_of(module), layer_of(name)
    if layer is None:
        return None
    if other != layer and other not in LAYERS[layer].below:
        return "an upward arrow"
    subject, known = subject_of(module), subject_of(name)
    if subject and known and known != subject and known not in SUBJECTS[subject]:
        return f"{subject} does not know {known}"
    part, neighbour = part_of(module), part_of(name)
    if part and neighbour and neighbour != part and neighbour.rpartition(".")[0] == part.rpartition(".")[0]:
        return None if neighbour in PARTS[part] else f"{part} does not know {neighbour}"
    return None


def folder(name: str) -> str:
    """Return a dotted name as a path of the repository."""
    return f"`{name.replace('.', '/')}{'.py' if name in {'governance.settings', 'governance.container'} else '/'}`"


def tables() -> str:
    """Return both tables, as Markdown."""
    lines = ["| layer | holds | knows |", "|---|---|---|"]
    for name in reversed(LAYERS):
        below = ", ".join(each.rpartition(".")[2] for each in LAYERS[name].below) or "nothing"
        lines.append(f"| {folder(name)} | {LAYERS[name].holds} | {below} |")
    lines += ["", "| subject | knows of the others |", "|---|---|"]
    lines += [f"| {subject} | {', '.join(sorted(known)) or 'none'} |" for subject, known in SUBJECTS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(tables())
