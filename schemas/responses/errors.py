"""Describes the response to a refused request."""

from marshmallow import Schema, fields

from schemas.responses.fields import flag, text, whole


class ErrorBody(Schema):
    """Why the request was refused, and what to do."""

    type = text("The kind of refusal.")
    code = text("Finer, and stable.")
    message = text("One plain sentence that says what to do.")
    param = text("The field or query parameter.", null=True)


class Error(Schema):
    """The response to every refused request."""

    is_bifrost_error = flag("Always false.")
    status_code = whole("The HTTP status.")
    error = fields.Nested(ErrorBody, required=True)
    extra_fields = fields.Dict(required=True, metadata={"description": "`errors` lists all faults of several."})
