"""The body of `config/plan` and `config/apply`, as the OpenAPI document shows it.

`schemas.config.files` reads the body.
"""

from marshmallow import Schema, fields

from schemas.config.entries import FileBudget, FileLimit, FileRateLimit
from schemas.config.owners import FileKey
from schemas.config.users import FileUser
from schemas.fields import Name
from schemas.queries import Query, QueryBoolean


class ConfigSections(Schema):
    """The sections of a file. Other sections, for example Bifrost's own, are skipped, and the plan names them."""

    model_configs = fields.List(fields.Nested(FileLimit))
    budgets = fields.List(fields.Nested(FileBudget))
    rate_limits = fields.List(fields.Nested(FileRateLimit))
    virtual_keys = fields.List(fields.Nested(FileKey), metadata={"description": "A value `env.NAME` is refused here."})
    users = fields.List(fields.Nested(FileUser))


class ConfigFile(ConfigSections):
    """A file of limits, up to 32 MiB. Its sections are at the top, or under `governance` as in Bifrost's file."""

    is_file = True
    """Tells the OpenAPI document that the endpoint reads the body as bytes."""

    owner = Name(metadata={"description": "Whose the file's rows are."})
    governance = fields.Nested(ConfigSections)


class ConfigQuery(Query):
    """The options of a plan or an apply."""

    prune = QueryBoolean(
        load_default=False, metadata={"description": "Remove the owner's rows that are not in the file."}
    )
    overwrite = QueryBoolean(load_default=False, metadata={"description": "Let the file win over edits by API."})
    owner = Name(metadata={"description": "Whose the file's rows are, instead of its own `owner`."})
