"""Describes the responses about past usage by time and by group."""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Paged
from schemas.responses.fields import dollars, instant, whole


class UsageSums(Schema):
    """Sums of the usage of several calls."""

    requests = whole("Calls that were admitted or reported.")
    input_tokens = whole("Input tokens that were given by kind, with those from a cache.")
    output_tokens = whole("Output tokens that were given by kind.")
    cached_tokens = whole("The part of the input that came from a cache.")
    other_tokens = whole("Tokens that were not given by kind.")
    cost = dollars("Dollars.")
    overrun = dollars("Dollars beyond what was held.")
    denied = whole("Calls that a limit refused; at most one poll behind.")


class SpanShown(Schema):
    """The period and the group of a row. For example, a row contains the calls of one user on one day."""

    start = instant("The start of the period.")
    end = instant("The end of the period, which is not in it.")
    provider = fields.String(allow_none=True, metadata={"description": "With group_by=provider."})
    model = fields.String(allow_none=True, metadata={"description": "With group_by=model."})
    virtual_key_id = fields.String(allow_none=True, metadata={"description": "With group_by=virtual_key."})
    virtual_key_name = fields.String(
        allow_none=True, metadata={"description": "Its name; of a deleted key the last one that is known."}
    )
    user_id = fields.String(allow_none=True, metadata={"description": "With group_by=user."})
    user_name = fields.String(allow_none=True, metadata={"description": "The user's name, if one is stored."})


class UsageShown(UsageSums, SpanShown):
    """The usage of one group in one period.

    A day has at most GOVERNANCE_HISTORY_SERIES combinations of provider, model, virtual key and user. The usage
    of all further combinations is in the group `(other)`.
    """


class UsageHistory(Paged):
    """A page of usage over time, and the sum of all rows."""

    usage = fields.List(fields.Nested(UsageShown), required=True)
    sum = fields.Nested(UsageSums, required=True, metadata={"description": "The sum of all rows, not of this page."})
    since = instant("The start of the time that was asked for, in whole buckets.")
    until = instant("Its end.")
    timezone = fields.String(required=True, metadata={"description": "Whose hours, days and months the periods are."})
