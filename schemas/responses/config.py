"""Describes the responses about the changes that a config file would make (its plan), or has made."""

from marshmallow import Schema, fields

from schemas.responses.fields import flag, text, whole


class ConfigDifference(Schema):
    """One field that differs.

    `old` is null if the field did not exist before, and `new` is null if the field does not exist afterwards.
    """

    what = text()
    old = text(null=True)
    new = text(null=True)


class ConfigStep(Schema):
    """What the file does with one limit, virtual key or user."""

    action = fields.String(required=True, metadata={"enum": ["create", "change", "replace", "remove", "keep"]})
    entity = fields.String(required=True, metadata={"enum": ["model_limit", "virtual_key", "user"]})
    id = text()
    title = text()
    note = text("What a reader may not expect.", null=True)
    differences = fields.List(fields.Nested(ConfigDifference), required=True)


class ConfigPlace(Schema):
    """A message about one position in the file."""

    line = whole("The line in the file.", null=True)
    path = text("The place, such as `governance.budgets[0].max_limit`.", null=True)
    message = text()


class ConfigPlan(Schema):
    """The changes that the file would make, or has made. The plan contains no secrets."""

    applied = flag("Whether it was done.")
    owner = text("Whose the file's rows are; null where nobody's.", null=True)
    steps = fields.List(fields.Nested(ConfigStep), required=True)
    counts = fields.Dict(required=True, metadata={"description": "How many rows there are of each action."})
    gone = whole("The owner's rows that the file does not have, where they are not pruned.")
    minted = whole("New virtual keys without a value: each gets one, in `virtual-keys.txt` on the service's machine.")
    warnings = fields.List(fields.Nested(ConfigPlace), required=True)
    left_out = fields.List(fields.Nested(ConfigPlace), required=True)
    skipped = fields.List(fields.String(), required=True, metadata={"description": "Sections that are none of ours."})
