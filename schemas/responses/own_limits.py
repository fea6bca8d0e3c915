"""Describes the response in which the holder of a virtual key sees the key's own limits.

A rule is one maximum of dollars, tokens or requests in each window of time.
"""

from marshmallow import Schema, fields

from schemas.responses.fields import dollars, instant, text


class OwnKey(Schema):
    """The virtual key."""

    id = text()
    name = text()
    expires_at = instant(null=True)


class OwnRuleShown(Schema):
    """A rule of one of the key's own limits. Amounts of a budget are in dollars."""

    rule_id = text("The budget's or rate limit's id.")
    kind = fields.String(required=True, metadata={"enum": ["budget", "rate_limit"]})
    metric = fields.String(required=True, metadata={"enum": ["cost", "tokens", "requests"]})
    model_name = text("The model, or * for all models.")
    provider = text("The provider; null for all.", null=True)
    reset_duration = text()
    used = dollars("Used in the current window.")
    reserved = dollars("Held by open reservations.")
    limit = dollars("The rule's maximum.")
    remaining = dollars("What is left; never below 0.")
    resets_at = instant("End of the current window.")


class OwnLimitsShown(Schema):
    """The response: the virtual key, and the rules of its own limits."""

    virtual_key = fields.Nested(OwnKey, required=True)
    limits = fields.List(fields.Nested(OwnRuleShown), required=True)
