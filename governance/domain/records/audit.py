"""The audit: who changed what, when, from what to what."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.records.pages import Page


class Entity(StrEnum):
    """The kinds of things whose changes are recorded."""

    MODEL_CONFIG = "model_config"
    VIRTUAL_KEY = "virtual_key"
    USER = "user"
    API_KEY = "api_key"


class Action(StrEnum):
    """What became of a thing."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Entry(NamedTuple):
    """One thing that one write changed. `at` in microseconds; `changes` is JSON, a list of {field, old, new}."""

    at: int
    actor: str
    entity: str
    entity_id: str
    action: str
    changes: str


class Recorded(NamedTuple):
    """An entry with its place in the audit: `seq` rises with every entry, whatever the clock does."""

    seq: int
    entry: Entry


class AuditQuery(NamedTuple):
    """A whole question to the audit: None lets all pass; from `since` on, before `until`; `hidden` is an entity."""

    page: Page = Page()
    entity: str | None = None
    entity_id: str | None = None
    actor: str | None = None
    action: str | None = None
    since: int | None = None
    until: int | None = None
    hidden: str | None = None
