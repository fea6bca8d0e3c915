"""The response about the effect that a limit would have had."""

from marshmallow import Schema, fields

from schemas.responses.fields import dollars, flag, instant, whole


class CallBounds(Schema):
    """Bounds of a number of calls. They are equal if the number is known exactly."""

    at_least = whole()
    at_most = whole()


class FirstRefused(Schema):
    """The instant at which the first call would have been refused."""

    earliest = instant("null: no call.", null=True)
    latest = instant("null: it is not certain that any call would have been.", null=True)


class CostBounds(Schema):
    """The dollars of all calls, and bounds of the dollars of the calls that the limit would have admitted."""

    without_limit = dollars("What all calls used.")
    at_least = dollars("What was let pass, at least.")
    at_most = dollars("What was let pass, at most.")


class TokenBounds(Schema):
    """The tokens of all calls, and bounds of the tokens of the calls that the limit would have admitted."""

    without_limit = whole("What all calls used.")
    at_least = whole()
    at_most = whole()


class WhatIfShown(Schema):
    """The effect that a limit would have had on the calls that it applies to."""

    since = instant()
    until = instant()
    is_exact = flag("true: each call was replayed. false: the bounds come from sums of 15 minutes.")
    calls = whole("The calls that the limit applies to.")
    refused = fields.Nested(CallBounds, required=True)
    first_refused = fields.Nested(FirstRefused, required=True)
    cost = fields.Nested(CostBounds, required=True)
    tokens = fields.Nested(TokenBounds, required=True)
