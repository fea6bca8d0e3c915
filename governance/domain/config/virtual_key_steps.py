"""Computes the steps of a sync for virtual keys.

A sync changes the stored rows so that they match the entries of a config file. A step is the change of one row. An
entry matches the stored key with the same id. If the entry gives no id, it matches the stored key with the same name.
"""

from collections.abc import Iterable, Iterator, Mapping

from governance.domain.config.entries import WantedKey
from governance.domain.config.plan_steps import (
    BOUND,
    Action,
    PlanContext,
    Step,
    edit_note,
    recreation_note,
    stores_hash,
)
from governance.domain.errors import Fault
from governance.domain.keys import VirtualKey
from governance.domain.records.differences import of_keys
from governance.domain.records.stored import KEY, ManagedKey


def steps(context: PlanContext, keys: Iterable[WantedKey]) -> list[Step]:
    """Return a step for each entry."""
    by_name = {row.key.name: row for row in context.stored.keys.values()}
    return [
        _step(context, entry, context.stored.keys.get(entry.id) if entry.named else by_name.get(entry.name))
        for entry in keys
    ]


def removal(row: ManagedKey, bound: set[str]) -> Step:
    """Return the step that removes a key whose entry is no longer in its file.

    The step keeps the key if its id is in `bound`: the ids of the virtual keys that remaining limits use.
    """
    key = row.key
    if key.id in bound:
        return Step(Action.KEEP, KEY, key.id, _title(key), (), BOUND, row, row)
    return Step(Action.REMOVE, KEY, key.id, _title(key), of_keys(key, None), None, row, None)


def clashes(entries: Iterable[WantedKey], steps: Iterable[Step], stored: Mapping[str, ManagedKey]) -> Iterator[Fault]:
    """Yield a fault for each entry whose name or value belongs to another stored key.

    Stored keys that have an entry in the file are ignored.
    """
    after = {step.id: step.after.key for step in steps if isinstance(step.after, ManagedKey)}
    others = [row.key for key_id, row in stored.items() if key_id not in after]
    names, values = {key.name: key for key in others}, {key.digest: key for key in others}
    for entry in entries:
        if entry.name in names:
            sentence = (
                f"Give another name, or the id '{names[entry.name].id}': that virtual key is stored with this name."
            )
            yield Fault(f"{entry.path}.name", sentence)
        if entry.digest in values:
            sentence = f"Give another value, or the id '{values[entry.digest].id}': that virtual key has this value."
            yield Fault(f"{entry.path}.value", sentence)


def _step(context: PlanContext, entry: WantedKey, row: ManagedKey | None) -> Step:
    if row is None:
        after = ManagedKey(_new(entry, context.now), entry.config_hash, context.source)
        note = recreation_note(context, KEY, entry.id)
        return Step(Action.CREATE, KEY, entry.id, _title(after.key), of_keys(None, after.key), note, None, after)
    edited, same = _edited(row.key, entry, context.now), row.config_hash == entry.config_hash
    differences = of_keys(row.key, edited)
    note = edit_note(context) if differences and same else None
    known = row._replace(config_hash=entry.config_hash, source=context.with_place(row.source))
    if differences and (context.overwrite or not same):
        return Step(Action.CHANGE, KEY, row.key.id, _title(edited), differences, note, row, known._replace(key=edited))
    after = known if stores_hash(row.source, context) else row
    return Step(Action.KEEP, KEY, row.key.id, _title(row.key), differences, note, row, after)


def _new(entry: WantedKey, now: int) -> VirtualKey:
    """Build a new key. Its digest is empty if the file gives no value for the key."""
    return VirtualKey(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        digest=entry.digest or "",
        value_prefix=entry.value_prefix or "",
        is_active=entry.is_active is not False,
        calendar_aligned=entry.calendar_aligned,
        expires_at=entry.expires_at,
        created_at=now,
        updated_at=now,
    )


def _edited(key: VirtualKey, entry: WantedKey, now: int) -> VirtualKey:
    """Return the stored key with the fields of its entry.

    If the entry does not set `is_active`, the stored `is_active` stays. The same holds for the key's value.
    """
    after = key._replace(
        name=entry.name,
        description=entry.description,
        digest=entry.digest or key.digest,
        value_prefix=key.value_prefix if entry.value_prefix is None else entry.value_prefix,
        is_active=key.is_active if entry.is_active is None else entry.is_active,
        calendar_aligned=entry.calendar_aligned,
        expires_at=entry.expires_at,
    )
    return key if after == key else after._replace(updated_at=now)


def _title(key: VirtualKey) -> str:
    return f"virtual key {key.name}"
