"""Computes the steps of a sync for users.

A sync changes the stored rows so that they match the entries of a config file. A step is the change of one row. An
entry matches the stored user with the same id, because limits refer to a user by id.
"""

from collections.abc import Iterable, Iterator

from governance.domain.config import entry_steps
from governance.domain.config.entries import WantedUser
from governance.domain.config.entry_steps import EntryKind
from governance.domain.config.plan_steps import PlanContext, Step
from governance.domain.keys import User
from governance.domain.records.differences import of_users
from governance.domain.records.stored import USER, ManagedUser

KIND = EntryKind(USER, ManagedUser, of_users, lambda user: f"user {user.name}")


def steps(context: PlanContext, users: Iterable[WantedUser]) -> Iterator[Step]:
    """Return a step for each entry."""
    return (_step(context, entry, context.stored.users.get(entry.id)) for entry in users)


def removal(row: ManagedUser) -> Step:
    """Return the step that removes a user whose entry is no longer in its file. Limits on the user's id stay."""
    return entry_steps.removal(KIND, row)


def _step(context: PlanContext, entry: WantedUser, row: ManagedUser | None) -> Step:
    now = context.now
    user = User(entry.id, entry.name, now, now) if row is None else _edited(row.user, entry, now)
    return entry_steps.step(KIND, context, entry.config_hash, row, user)


def _edited(user: User, entry: WantedUser, now: int) -> User:
    return user if user.name == entry.name else user._replace(name=entry.name, updated_at=now)
