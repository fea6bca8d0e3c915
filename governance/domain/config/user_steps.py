"""The plan's steps for users. An entry is matched by id, since limits refer to a user's id."""

from collections.abc import Iterable, Iterator

from governance.domain.config.entries import WantedUser
from governance.domain.config.plan_steps import Action, PlanContext, Step, edit_note, recreation_note, stores_hash
from governance.domain.keys import User
from governance.domain.records.differences import of_users
from governance.domain.records.stored import USER, ManagedUser


def steps(context: PlanContext, users: Iterable[WantedUser]) -> Iterator[Step]:
    """Return a step for each entry."""
    return (_step(context, entry, context.stored.users.get(entry.id)) for entry in users)


def removal(row: ManagedUser) -> Step:
    """Return the removal of a user that its file no longer has; limits on the id stay."""
    user = row.user
    return Step(Action.REMOVE, USER, user.id, _title(user), of_users(user, None), None, row, None)


def _step(context: PlanContext, entry: WantedUser, row: ManagedUser | None) -> Step:
    if row is None:
        user = User(entry.id, entry.name, context.now, context.now)
        after, note = ManagedUser(user, entry.config_hash, context.source), recreation_note(context, USER, entry.id)
        return Step(Action.CREATE, USER, user.id, _title(user), of_users(None, user), note, None, after)
    edited, same = _edited(row.user, entry, context.now), row.config_hash == entry.config_hash
    differences = of_users(row.user, edited)
    note = edit_note(context) if differences and same else None
    known = row._replace(config_hash=entry.config_hash, source=context.with_place(row.source))
    if differences and (context.overwrite or not same):
        after = known._replace(user=edited)
        return Step(Action.CHANGE, USER, edited.id, _title(edited), differences, note, row, after)
    kept = known if stores_hash(row.source, context) else row
    return Step(Action.KEEP, USER, row.user.id, _title(row.user), differences, note, row, kept)


def _edited(user: User, entry: WantedUser, now: int) -> User:
    return user if user.name == entry.name else user._replace(name=entry.name, updated_at=now)


def _title(user: User) -> str:
    return f"user {user.name}"
