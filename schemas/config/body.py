"""The body and query of `POST /config/plan` and `POST /config/apply`. The body is a config file.

The body's schemas are only for the OpenAPI document. `schemas.config.files` reads the body itself.
"""

from marshmallow import Schema, fields

from schemas.config.entries import FileBudget, FileLimit, FileRateLimit
from schemas.config.owners import FileKey
from schemas.config.users import FileUser
from schemas.fields import Name
from schemas.queries import Query, QueryBoolean


class ConfigSections(Schema):
    """The sections of a config file. They are lists of objects.

    Other sections, for example those of the gateway Bifrost, are skipped. The response lists their names.
    """

    model_configs = fields.List(fields.Nested(FileLimit))
    budgets = fields.List(fields.Nested(FileBudget))
    rate_limits = fields.List(fields.Nested(FileRateLimit))
    virtual_keys = fields.List(fields.Nested(FileKey), metadata={"description": "A value `env.NAME` is refused here."})
    users = fields.List(fields.Nested(FileUser))


class ConfigFile(ConfigSections):
    """A config file of up to 32 MiB. Its sections are at the top level, or under `governance` as in Bifrost's file."""

    is_file = True
    """Tells the code that calls the endpoint not to load the body with this schema. The endpoint reads the bytes."""

    owner = Name(metadata={"description": "Whose the file's rows are."})
    governance = fields.Nested(ConfigSections)


class ConfigQuery(Query):
    """The query of `POST /config/plan` and `POST /config/apply`."""

    prune = QueryBoolean(
        load_default=False, metadata={"description": "Remove the owner's rows that are not in the file."}
    )
    overwrite = QueryBoolean(load_default=False, metadata={"description": "Let the file win over edits by API."})
    owner = Name(metadata={"description": "Whose the file's rows are, instead of its own `owner`."})
