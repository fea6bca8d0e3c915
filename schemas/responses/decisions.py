"""Describes the responses to a reservation, a usage report and a check, and the denial of a call.

A rule is one maximum of dollars, tokens or requests in each window of time. A budget is a rule. A rate limit contains
one or two rules.
"""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Done
from schemas.responses.errors import ErrorBody
from schemas.responses.fields import dollars, flag, instant, text, whole
from schemas.responses.prices import PriceUsed, cost_source, warnings
from schemas.responses.reservations import ReservationShown


class StandingShown(Schema):
    """A rule that applied to the call, with the amounts of its current window. Amounts of a budget are in dollars."""

    rule_id = text("The budget's or rate limit's id.")
    model_config_id = text()
    kind = fields.String(required=True, metadata={"enum": ["budget", "rate_limit"]})
    metric = fields.String(required=True, metadata={"enum": ["cost", "tokens", "requests"]})
    model_name = text()
    provider = text(null=True)
    scope = text()
    scope_id = text(null=True)
    scope_name = text(null=True)
    used = dollars("Used in the current window.")
    reserved = dollars("Held by open reservations, this one included where it was allowed.")
    requested = dollars("What the call asks for.")
    limit = dollars("The rule's maximum.")
    remaining = dollars("What is left; never below 0.")
    resets_at = instant("End of the current window.")


class UsedStanding(StandingShown):
    """A rule to which reported usage was charged."""

    over = flag("Whether the rule is used up now.")


class Admitted(Schema):
    """The response to a granted reservation: the reservation, and every rule that applied."""

    decision = fields.String(required=True, metadata={"enum": ["allow"]})
    reservation = fields.Nested(ReservationShown, required=True)
    limits = fields.List(fields.Nested(StandingShown), required=True)
    warnings = warnings()


class UsageRecorded(Done):
    """The response to a usage report: the charged dollars, and every rule that applied."""

    cost = dollars("Dollars charged.")
    cost_source = cost_source()
    price = fields.Nested(PriceUsed, required=True, allow_none=True)
    warnings = warnings()
    limits = fields.List(fields.Nested(UsedStanding), required=True)


class UnmatchedLimit(Schema):
    """A limit on the model or provider of the call that did not apply to the call."""

    model_config_id = text()
    model_name = text()
    provider = text(null=True)
    scope = text()
    scope_id = text(null=True)
    reason = text("Why it did not apply.")


class Unmatched(Schema):
    """The number of limits on the model or provider that did not apply, and a list of the first of them."""

    count = whole()
    limits = fields.List(
        fields.Nested(UnmatchedLimit),
        required=True,
        metadata={"description": "At most 20, ordered by provider, model, scope and scope id."},
    )


class Checked(Schema):
    """The response to a check: how a reservation of the same call would be decided."""

    decision = fields.String(required=True, metadata={"enum": ["allow", "deny"]})
    message = text("What a reservation would be told instead of being held; null where it would hold.", null=True)
    cost = dollars("Dollars that the call asks for; null if it gives none and none can be computed.", null=True)
    cost_source = cost_source()
    price = fields.Nested(PriceUsed, required=True, allow_none=True)
    warnings = warnings()
    limits = fields.List(fields.Nested(StandingShown), required=True)
    violations = fields.List(fields.Nested(StandingShown), required=True)
    unmatched = fields.Nested(Unmatched, required=True)


class DenialFields(Schema):
    """The part of a denial that other errors do not have."""

    decision = fields.String(required=True, metadata={"enum": ["deny"]})
    retryable = flag("Whether the same call may pass later; Retry-After says when.")
    violations = fields.List(
        fields.Nested(StandingShown), required=True, metadata={"description": "Every rule without room."}
    )


class Denial(Schema):
    """The response to a call for which a limit has no room. Nothing was reserved or charged."""

    type = text("The denial's word, as in error.type.")
    is_bifrost_error = flag("Always false.")
    status_code = whole("The HTTP status.")
    error = fields.Nested(ErrorBody, required=True)
    extra_fields = fields.Nested(DenialFields, required=True)
