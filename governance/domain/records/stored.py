"""Rows as they are stored, with the file that each came from."""

from collections.abc import Mapping
from typing import NamedTuple

from governance.domain.keys import User, VirtualKey
from governance.domain.limits.limit import Limit

LIMIT, KEY, USER = "model_limit", "virtual_key", "user"
"""The kinds of rows, by the words that the tombstones have for them."""


class Source(NamedTuple):
    """What a row remembers of the file that made it: the name of its owner, and the folder and name of the file.

    The name is '' where no file did. The place is '' where the owner was given by name, and None where it is not known.
    """

    name: str = ""
    place: str | None = None

    @property
    def placed(self) -> bool:
        """Whether the name is a file's base name: another file, in another place, may have the same."""
        return bool(self.name and self.place)


NO_FILE = Source()
"""What rows remember that the API or an import made."""


class HeldLimit(NamedTuple):
    """A stored limit, and the file that made it."""

    limit: Limit
    source: Source


class HeldKey(NamedTuple):
    """A stored virtual key, the hash of its entry, and the file that made it."""

    key: VirtualKey
    config_hash: str | None
    source: Source


class HeldUser(NamedTuple):
    """A stored user, the hash of its entry, and the file that made it."""

    user: User
    config_hash: str | None
    source: Source


Held = HeldLimit | HeldKey | HeldUser


class Stored(NamedTuple):
    """All that is stored, by id, and (entity, id) of what was deleted."""

    limits: Mapping[str, HeldLimit]
    keys: Mapping[str, HeldKey]
    users: Mapping[str, HeldUser]
    buried: frozenset[tuple[str, str]] = frozenset()

    @property
    def rows(self) -> tuple[Held, ...]:
        """All rows, whatever they are."""
        return (*self.limits.values(), *self.keys.values(), *self.users.values())
