"""Users: rows in and out. A user is a name; limits on its id stay when it goes."""

from governance.domain.keys import User
from governance.domain.records.stored import ManagedUser
from governance.storage import revisions, tables
from governance.storage.keys.named_resources import NamedRows

users: NamedRows[User, ManagedUser] = NamedRows(tables.users, User, revisions.USER)
