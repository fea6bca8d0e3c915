"""Reads and writes users. A user is an id with a name. If a user is deleted, the limits on the user's id stay."""

from governance.domain.keys import User
from governance.domain.records.stored import ManagedUser
from governance.storage import revisions, tables
from governance.storage.named_rows import NamedRows

users: NamedRows[User, ManagedUser] = NamedRows(tables.users, User, revisions.USER)
