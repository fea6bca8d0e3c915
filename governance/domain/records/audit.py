"""The audit log: who changed which fields of which object, and when, with the old and the new values."""

from enum import StrEnum
from typing import NamedTuple

from governance.domain.records.list_query import Page


class Entity(StrEnum):
    """The kinds of objects whose changes are recorded."""

    MODEL_CONFIG = "model_config"
    VIRTUAL_KEY = "virtual_key"
    USER = "user"
    API_KEY = "api_key"
    PRICE = "price"


class AuditAction(StrEnum):
    """How a change affected the object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Entry(NamedTuple):
    """A change of one object in one write. `at` is in microseconds. `changes` is JSON: a list of {field, old, new}."""

    at: int
    actor: str
    entity: str
    entity_id: str
    action: str
    changes: str


class RecordedEntry(NamedTuple):
    """A stored entry. Each new entry has a larger `seq` than all earlier ones, even if the clock goes back."""

    seq: int
    entry: Entry


class AuditQuery(NamedTuple):
    """A query of the audit log.

    A field that is `None` does not filter. `since` is inclusive and `until` is exclusive, both in microseconds.
    `hidden` is a kind of object (`Entity`). Entries about objects of this kind are left out.
    """

    page: Page = Page()
    entity: str | None = None
    entity_id: str | None = None
    actor: str | None = None
    action: str | None = None
    since: int | None = None
    until: int | None = None
    hidden: str | None = None
