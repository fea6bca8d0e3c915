"""The schemas of the users in a config file, and of the file's owner.

The owner is a name. The database records it for the rows that the file creates. With the option `prune`, a sync of
the file removes the rows of this owner that are no longer in the file.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import post_load

from governance.domain.config import hashes
from governance.domain.config.entries import WantedUser
from governance.domain.errors import Fault, InvalidRequest
from schemas.fields import Name, ReadOnly
from schemas.keys import UserCreate
from schemas.loading import Body, load


class FileUser(UserCreate):
    """A user: an id and a name."""

    id = Name(required=True, metadata={"description": "The gateway's own id for the user."})
    config_hash = ReadOnly()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> WantedUser:
        """Build the user from the loaded entry."""
        return WantedUser("", data["id"], data["name"], hashes.of_user(data["id"], data["name"]))


class FileOwner(Body):
    """The top-level field `owner` of a file."""

    owner = Name(metadata={"description": "Whose rows the file's are: what `prune` may remove."})


OWNER = FileOwner()


def owner(document: Mapping[str, Any], faults: list[Fault]) -> str | None:
    """Return the owner that a file names at its top level, or None. If the owner is invalid, append to `faults`."""
    if isinstance(inner := document.get("governance"), Mapping) and "owner" in inner:
        faults.append(Fault("governance.owner", "Write owner at the top of the file, beside governance."))
    try:
        fields: dict[str, str] = load(OWNER, {"owner": document["owner"]} if "owner" in document else {})
    except InvalidRequest as error:
        faults += error.faults
        return None
    return fields.get("owner")
