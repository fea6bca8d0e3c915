"""Files with limits: the same schemas as the HTTP bodies, and what Bifrost's own file says beside them.

Two forms, which may be mixed: Bifrost's (`governance.model_configs` refer by id to `governance.budgets` and
`governance.rate_limits`) and a plain one (`model_configs` with their budgets and rate limits inside).
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import Schema, post_load

from governance.domain import hashes, keys
from governance.domain.errors import Fault, InvalidRequest
from governance.domain.files import ItemEntry, LimitEntry, Section, Sections, WantedKey, key_id
from governance.domain.limits import MAX_ITEMS
from schemas.fields import Few, Flag, Name, Shown
from schemas.keys import VirtualKeyCreate
from schemas.loading import load
from schemas.model_limits import BudgetBody, ModelLimitCreate, RateLimitBody

OURS = ("model_configs", "budgets", "rate_limits", "virtual_keys")
ROOTS = ("governance", "")
"""Where our sections may stand: under `governance`, as in Bifrost's file, or at the top."""
NOT_IN_FILES = frozenset({"governance"})
ENVIRONMENT = "env."
ALIKE = 0.8
STRANGERS = {
    "team_id": "team",
    "customer_id": "customer",
    "provider_config_id": "provider config",
}
"""Owners that a budget of Bifrost's may name, and ours cannot have."""


class Foreign(Shown):
    """What Bifrost's file may say here that is none of ours: skipped, and named in the report."""


class FileBudget(BudgetBody):
    """A budget that stands by itself."""

    id = Name(required=True)
    virtual_key_id = Name()  # type: ignore[assignment]
    model_config_id = Name()  # type: ignore[assignment]  # files may say what answers show
    calendar_aligned = Flag()  # type: ignore[assignment]
    team_id = Foreign()
    customer_id = Foreign()
    provider_config_id = Foreign()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Turn the entry into an item with its owner."""
        aligned = data.get("calendar_aligned", False)
        return ItemEntry("", super().make(data), data.get("model_config_id"), aligned, data.get("virtual_key_id"))


class FileRateLimit(RateLimitBody):
    """A rate limit that stands by itself."""

    id = Name(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Turn the entry into an item."""
        return ItemEntry("", super().make(data))


def _ids(what: str) -> Few:
    wanted = f"Give {what} as a list of ids."
    return Few(Name(), most=MAX_ITEMS, error_messages={"invalid": wanted, "most": f"Give at most {MAX_ITEMS} {what}."})


class FileLimit(ModelLimitCreate):
    """A model limit: as in a create, with an id of its own, and ids of what stands by itself."""

    id = Name()  # type: ignore[assignment]  # files may say what answers show
    budget_id = Name()
    budget_ids = _ids("budget_ids")
    rate_limit_id = Name()
    rate_limit_ids = _ids("rate_limit_ids")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Turn the entry into a draft with its references."""
        return LimitEntry(
            path="",
            id=data.get("id"),
            draft=super().make(data),
            budget_id=data.get("budget_id"),
            budget_ids=tuple(data.get("budget_ids", ())),
            rate_limit_id=data.get("rate_limit_id"),
            rate_limit_ids=tuple(data.get("rate_limit_ids", ())),
        )


class FileKey(VirtualKeyCreate):
    """A virtual key; a value `env.NAME` is in the environment."""

    rate_limit_id = Name(metadata={"description": "Of the key's own limit, on all models."})
    config_hash = Shown()
    budgets = Foreign()
    rate_limit = Foreign()
    team_id = Foreign()
    team = Foreign()
    customer_id = Foreign()
    customer = Foreign()
    provider_configs = Foreign()
    mcp_configs = Foreign()
    created_by_user_id = Foreign()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> WantedKey:
        """Turn the entry into a wanted key, which keeps of the value what is stored of it."""
        name, value = data["name"], data.get("value")
        said = {name: data.get(name) for name in ("is_active", "expires_at")}
        aligned, description = data.get("calendar_aligned", False), data.get("description")
        return WantedKey(
            path="",
            id=data.get("id") or key_id(name),
            named="id" in data,
            name=name,
            description=description,
            digest=keys.digest(value) if value else None,
            value_prefix=keys.shown_prefix(value) if value else None,
            calendar_aligned=aligned,
            rate_limit_id=data.get("rate_limit_id"),
            config_hash=hashes.of_key(name, description, value, calendar_aligned=aligned, **said),
            **said,
        )


Environment = Mapping[str, str]
Found = Iterator[tuple[str, Any]]


def sections(document: Mapping[str, Any], environment: Environment) -> tuple[Sections, list[Fault]]:
    """All that is ours in a file, with every fault of its shape."""
    faults: list[Fault] = []
    unset: list[tuple[str, str]] = []
    skipped = dict.fromkeys(_strangers(document, faults))
    keys_found = _valued(_entries(document, "virtual_keys", faults), environment, unset)
    read_sections = Sections(
        limits=_section(_entries(document, "model_configs", faults), FileLimit(), faults, skipped),
        budgets=_section(_entries(document, "budgets", faults), FileBudget(), faults, skipped),
        rate_limits=_section(_entries(document, "rate_limits", faults), FileRateLimit(), faults, skipped),
        keys=_section(keys_found, FileKey(), faults, skipped),
        skipped=[],
        unset=unset,
    )
    return read_sections._replace(skipped=list(skipped)), faults


def _strangers(document: Mapping[str, Any], faults: list[Fault]) -> Iterator[str]:
    """The names of sections that are none of ours; one that is nearly ours is a fault."""
    for root in ROOTS:
        held = document.get(root) if root else document
        if held is not None and not isinstance(held, Mapping):
            faults.append(Fault(root, f"Give {root} as an object."))
        elif held is not None:
            known = (*OURS, *(() if root else NOT_IN_FILES))
            for name in held:
                if name not in known:
                    yield from _stranger(_joined(root, name), name, known, faults)


def _stranger(path: str, name: str, known: tuple[str, ...], faults: list[Fault]) -> Iterator[str]:
    close = get_close_matches(name, known, 1, ALIKE)
    if close:
        faults.append(Fault(path, f"Leave out {path}: there is no such section (did you mean {close[0]}?)."))
    else:
        yield path


def _entries(document: Mapping[str, Any], kind: str, faults: list[Fault]) -> Found:
    """Each entry of a kind with its path, under both roots."""
    for root in ROOTS:
        held = document.get(root) if root else document
        listed = held.get(kind) if isinstance(held, Mapping) else None
        path = _joined(root, kind)
        if listed is not None and not isinstance(listed, list):
            faults.append(Fault(path, f"Give {path} as a list of objects."))
        elif listed is not None:
            yield from ((f"{path}[{place}]", raw) for place, raw in enumerate(listed))


def _section(found: Found, schema: Schema, faults: list[Fault], skipped: dict[str, None]) -> Section[Any]:
    """The entries of a section that are well formed; what is wrong with the others, and what is foreign, is noted."""
    foreign = {name for name, field in schema.fields.items() if isinstance(field, Foreign)}
    section: Section[Any] = Section([], set())
    for path, raw in found:
        try:
            section.entries.append(_entry(schema, raw, path))
        except InvalidRequest as error:
            faults += [fault._replace(param=_joined(path, fault.param)) for fault in error.faults]
        if isinstance(raw, Mapping):
            section.ids.update({raw["id"].strip()} if isinstance(raw.get("id"), str) else ())
            said = (name for name in raw if name in foreign and raw[name] is not None)
            skipped.update(dict.fromkeys(f"{path.rpartition('[')[0]}[].{name}" for name in said))
    return section


def _entry(schema: Schema, raw: Any, path: str) -> Any:
    if not isinstance(raw, Mapping):
        raise InvalidRequest("Give an object, such as {}.")
    entry = load(schema, raw)._replace(path=path)
    stranger = next((what for name, what in STRANGERS.items() if raw.get(name) is not None), None)
    return entry._replace(stranger=stranger) if isinstance(entry, ItemEntry) else entry


def _valued(found: Found, environment: Environment, unset: list[tuple[str, str]]) -> Found:
    """Virtual keys with the values that their `env.NAME` stand for; no sentence ever shows a value."""
    for path, raw in found:
        value = raw.get("value") if isinstance(raw, Mapping) else None
        if not isinstance(value, str) or not value.strip().startswith(ENVIRONMENT):
            yield path, raw
            continue
        name = value.strip().removeprefix(ENVIRONMENT)
        held = environment.get(name, "").strip()
        if not held:
            sentence = f"Set the environment variable {name}: the value of this virtual key is taken from it."
            unset.append((f"{path}.value", sentence))
        yield path, {**raw, "value": held or None}


def _joined(path: str, name: str | None) -> str:
    return ".".join(part for part in (path, name) if part)
