"""Stored rows, each with the config file that created it."""

from collections.abc import Mapping
from typing import NamedTuple

from governance.domain.keys import User, VirtualKey
from governance.domain.limits.limit import Limit
from governance.domain.pricing.overrides import PriceOverride

LIMIT, KEY, USER, PRICE = "model_limit", "virtual_key", "user", "price"
"""The names of the kinds of rows, as used in tombstones, which are the records of deleted rows."""


class Source(NamedTuple):
    """The config file that created a row.

    `name` is the owner of the file. If no owner is named explicitly, `name` is the base name of the file. If no file
    created the row, `name` is ''. `place` is the path of the file. It is '' if an owner is named explicitly, and None
    if the path is not known.
    """

    name: str = ""
    place: str | None = None

    @property
    def placed(self) -> bool:
        """Whether `name` is only the base name of the file. A file in another folder may have the same base name."""
        return bool(self.name and self.place)


NO_FILE = Source()
"""The source of rows that the API or an import created."""


class ManagedLimit(NamedTuple):
    """A stored limit, and the file that created it."""

    limit: Limit
    source: Source


class ManagedKey(NamedTuple):
    """A stored virtual key, the hash of its entry in the config file, and the file that created it."""

    key: VirtualKey
    config_hash: str | None
    source: Source


class ManagedUser(NamedTuple):
    """A stored user, the hash of its entry in the config file, and the file that created it."""

    user: User
    config_hash: str | None
    source: Source


class ManagedPrice(NamedTuple):
    """A stored price override, the hash of its entry in the config file, and the file that created it."""

    price: PriceOverride
    config_hash: str | None
    source: Source


Managed = ManagedLimit | ManagedKey | ManagedUser | ManagedPrice


class StoredRows(NamedTuple):
    """All stored rows by id. `deleted` contains the (kind, id) of each deleted row, for example (`user`, `u1`)."""

    limits: Mapping[str, ManagedLimit]
    keys: Mapping[str, ManagedKey]
    users: Mapping[str, ManagedUser]
    prices: Mapping[str, ManagedPrice]
    deleted: frozenset[tuple[str, str]] = frozenset()

    @property
    def rows(self) -> tuple[Managed, ...]:
        """All rows of all kinds."""
        return (*self.limits.values(), *self.keys.values(), *self.users.values(), *self.prices.values())
