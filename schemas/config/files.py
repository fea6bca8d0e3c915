"""Reads a config file: loads its entries with schemas, and collects all faults.

A section is a list such as `virtual_keys`, and each object in it is an entry. The schemas of the entries are in the
modules `entries`, `owners`, `users` and `prices`. These schemas extend the schemas of the HTTP bodies. A file may mix
two forms. In the form of Bifrost (an LLM gateway), an object in `governance.model_configs` contains the ids of objects
in `governance.budgets` and `governance.rate_limits`. In the plain form, an object in `model_configs` contains its
budgets and rate limits themselves.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import Schema, fields

from governance.domain.config.entries import LimitEntry, Section, Sections
from governance.domain.errors import Fault, InvalidRequest
from schemas.config import owners
from schemas.config.entries import FileBudget, FileLimit, FileRateLimit, IgnoredFields, OverrideAmount
from schemas.config.owners import FileKey, FileProvider
from schemas.config.prices import FilePrice
from schemas.config.users import FileUser, owner
from schemas.loading import load, not_an_object

OURS = ("model_configs", "budgets", "rate_limits", "virtual_keys", "users", "prices")
OWNER = "owner"
ROOTS = ("governance", "")
"""The objects that may contain the sections: `governance`, as in Bifrost's file, or the file's top level."""
PROVIDERS = "providers"
"""The name of two sections in Bifrost's file.

Under `governance`, the section contains providers with their budgets and rate limits. At the top level, the section
contains other settings and is skipped.
"""
NOT_IN_FILES = frozenset({"governance"})
ENVIRONMENT = "env."
VAULT = "vault."
NO_VAULT = "Give the value itself, or env.NAME to take it from the environment: no vault is asked for it here."
NO_ENVIRONMENT = "Give the value itself, or leave it out: no environment variable is read for what comes over HTTP."
ALIKE = 0.8
PLACE = re.compile(r"\[\d+\]")

Environment = Mapping[str, str]
Found = Iterator[tuple[str, Any]]


def sections(
    document: Mapping[str, Any], environment: Environment | None, most: int | None = None
) -> tuple[Sections, list[Fault]]:
    """Return the sections of a file, and the faults in its entries.

    After `most` faults, no further entries are loaded. If the value of a virtual key is `env.NAME`, it is taken from
    the environment variable NAME. If `environment` is None, such a value is a fault.
    """
    reading = _Reading(document, environment, most)
    return reading.sections(), reading.faults


class _Reading:
    """Reads a file. Collects its faults, the names of skipped parts, and notes on values that have no effect."""

    def __init__(self, document: Mapping[str, Any], environment: Environment | None, most: int | None) -> None:
        self._document = document
        self._environment = environment
        self._most = most
        self.faults: list[Fault] = []
        self._skipped: dict[str, None] = {}
        self._notes: list[tuple[str, str]] = []
        self._unset: list[tuple[str, str]] = []

    def sections(self) -> Sections:
        self._skip_unknown()
        keys = list(self._valued(self._entries("virtual_keys")))
        providers = list(self._entries(PROVIDERS, ("governance",)))
        self._section(providers, FileProvider())
        return Sections(
            limits=self._section(self._entries("model_configs"), FileLimit()),
            budgets=self._section(self._entries("budgets"), FileBudget()),
            rate_limits=self._section(self._entries("rate_limits"), FileRateLimit()),
            keys=self._section(keys, FileKey()),
            users=self._section(self._entries("users"), FileUser()),
            prices=self._section(self._entries("prices"), FilePrice()),
            implied=list(self._implied(keys, providers)),
            claims=[
                claim
                for name in owners.SKIPPED_OWNERS
                for path, raw in self._entries(name)
                for claim in owners.claims(name, path, raw)
            ],
            skipped=list(self._skipped),
            notes=self._notes,
            unset=self._unset,
            owner=owner(self._document, self.faults),
        )

    def _skip_unknown(self) -> None:
        """Record the names of unknown sections as skipped. A name that is similar to a known name is a fault."""
        for root in ROOTS:
            held = self._document.get(root) if root else self._document
            if held is not None and not isinstance(held, Mapping):
                self.faults.append(Fault(root, f"Give {root} as an object."))
            elif held is not None:
                known = (*OURS, *((PROVIDERS,) if root else (OWNER, *NOT_IN_FILES)))
                for name in held:
                    if name not in (*known, OWNER):
                        self._skip(_joined(root, name), name, known)

    def _skip(self, path: str, name: str, known: Iterable[str]) -> None:
        close = [] if name == PROVIDERS else get_close_matches(name, known, 1, ALIKE)
        if close:
            self.faults.append(Fault(path, f"Leave out {path}: there is no such section (did you mean {close[0]}?)."))
        else:
            self._skipped[path] = None

    def _entries(self, kind: str, roots: Iterable[str] = ROOTS) -> Found:
        """Yield the entries of a section in all `roots`, each with its path, for example `governance.budgets[0]`."""
        for root in roots:
            held = self._document.get(root) if root else self._document
            listed = held.get(kind) if isinstance(held, Mapping) else None
            path = _joined(root, kind)
            if listed is not None and not isinstance(listed, list):
                self.faults.append(Fault(path, f"Give {path} as a list of objects."))
            elif listed is not None:
                yield from ((f"{path}[{place}]", raw) for place, raw in enumerate(listed))

    def _section(self, found: Iterable[tuple[str, Any]], schema: Schema) -> Section[Any]:
        """Return the valid entries of a section, and the ids of all its entries."""
        section: Section[Any] = Section([], set())
        for path, raw in found:
            if self._most is not None and len(self.faults) >= self._most:
                break
            try:
                section.entries.append(_entry(schema, raw, path))
            except InvalidRequest as error:
                self._refuse(path, error)
            if isinstance(raw, Mapping):
                section.ids.update({raw["id"].strip()} if isinstance(raw.get("id"), str) else ())
                self._note(schema, raw, path)
        return section

    def _implied(self, keys: Iterable[tuple[str, Any]], providers: Iterable[tuple[str, Any]]) -> Iterator[LimitEntry]:
        """Yield the limits that take over the budgets and rate limits of virtual keys and providers.

        These limits are called implied, because the file does not list them as limits.
        """
        schema = FileLimit()
        for found, limits_of in ((keys, owners.of_key), (providers, owners.of_provider)):
            for path, raw in found:
                for implied in limits_of(path, raw) if isinstance(raw, Mapping) else ():
                    try:
                        yield owners.limit(implied, schema)
                    except InvalidRequest as error:
                        self._refuse(implied.path, error)
                    self._note(schema, implied.rules, implied.path)

    def _refuse(self, path: str, error: InvalidRequest) -> None:
        self.faults += [fault._replace(param=_joined(path, fault.param)) for fault in error.faults]

    def _note(self, schema: Schema, raw: Mapping[str, Any], path: str) -> None:
        """Record the fields of an entry that have no effect: override amounts with a note, others as skipped."""
        for name, value in raw.items():
            field = schema.fields.get(name)
            where = f"{path}.{name}"
            if isinstance(field, IgnoredFields) and value is not None:
                self._skipped[PLACE.sub("[]", where)] = None
            elif isinstance(field, OverrideAmount) and value:
                self._notes.append((where, field.note))
            elif isinstance(field, fields.Nested) and isinstance(value, Mapping):
                self._note(field.schema, value, where)
            elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested) and isinstance(value, list):
                for place, each in enumerate(value):
                    if isinstance(each, Mapping):
                        self._note(field.inner.schema, each, f"{where}[{place}]")

    def _valued(self, found: Found) -> Found:
        """Yield the virtual keys. Replace a value `env.NAME` by the value of the environment variable NAME.

        No error message shows a value.
        """
        for path, raw in found:
            value = raw.get("value") if isinstance(raw, Mapping) else None
            text = value.strip() if isinstance(value, str) else ""
            if text.startswith(VAULT):
                self.faults.append(Fault(f"{path}.value", NO_VAULT))
            if not text.startswith(ENVIRONMENT):
                yield path, raw
                continue
            if self._environment is None:
                self.faults.append(Fault(f"{path}.value", NO_ENVIRONMENT))
                yield path, raw
                continue
            name = text.removeprefix(ENVIRONMENT)
            held = self._environment.get(name, "").strip()
            if not held:
                sentence = f"Set the environment variable {name}: the value of this virtual key is taken from it."
                self._unset.append((f"{path}.value", sentence))
            yield path, {**raw, "value": held or None}


def _entry(schema: Schema, raw: Any, path: str) -> Any:
    if not isinstance(raw, Mapping):
        raise InvalidRequest(not_an_object(path))
    entry = load(schema, raw)
    return entry._replace(path=path) if hasattr(entry, "path") else entry


def _joined(path: str, name: str | None) -> str:
    return ".".join(part for part in (path, name) if part)
