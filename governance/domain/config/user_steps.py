"""What becomes of each user: matched by id, since that is what limits are bound to."""

from collections.abc import Iterable, Iterator

from governance.domain.config.entries import WantedUser
from governance.domain.config.steps import Action, Aim, Step, edit_note, remembers, returns
from governance.domain.keys import User
from governance.domain.records.differences import of_users
from governance.domain.records.stored import USER, HeldUser


def steps(aim: Aim, users: Iterable[WantedUser]) -> Iterator[Step]:
    """A step for each entry."""
    return (_step(aim, entry, aim.stored.users.get(entry.id)) for entry in users)


def removal(held: HeldUser) -> Step:
    """The end of a user that its file no longer has; limits on the id stay."""
    user = held.user
    return Step(Action.REMOVE, USER, user.id, _title(user), of_users(user, None), None, held, None)


def _step(aim: Aim, entry: WantedUser, held: HeldUser | None) -> Step:
    if held is None:
        user = User(entry.id, entry.name, aim.now, aim.now)
        made, note = HeldUser(user, entry.config_hash, aim.source), returns(aim, USER, entry.id)
        return Step(Action.CREATE, USER, user.id, _title(user), of_users(None, user), note, None, made)
    edited, same = _edited(held.user, entry, aim.now), held.config_hash == entry.config_hash
    differences = of_users(held.user, edited)
    note = edit_note(aim) if differences and same else None
    known = held._replace(config_hash=entry.config_hash, source=aim.kept(held.source))
    if differences and (aim.overwrite or not same):
        after = known._replace(user=edited)
        return Step(Action.CHANGE, USER, edited.id, _title(edited), differences, note, held, after)
    kept = known if remembers(held.source, aim) else held
    return Step(Action.KEEP, USER, held.user.id, _title(held.user), differences, note, held, kept)


def _edited(user: User, entry: WantedUser, now: int) -> User:
    return user if user.name == entry.name else user._replace(name=entry.name, updated_at=now)


def _title(user: User) -> str:
    return f"user {user.name}"
