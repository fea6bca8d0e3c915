"""Describes the responses about reservations.

A reservation holds tokens and dollars for one call before the call. When it is settled, the used amounts are charged
instead.
"""

from marshmallow import Schema, fields

from schemas.responses.envelopes import Paged
from schemas.responses.fields import dollars, flag, instant, text, whole
from schemas.responses.prices import PriceUsed, cost_source, warnings


class TokenAmounts(Schema):
    """The reserved tokens, and the tokens that have been charged so far."""

    reserved = whole()
    used = whole()


class CostAmounts(Schema):
    """The reserved dollars, and the dollars that have been charged so far."""

    reserved = dollars("Dollars held at admission.")
    used = dollars("Dollars charged now.")


class Overrun(Schema):
    """How much more than the reserved amounts was charged."""

    tokens = whole()
    cost = dollars("Dollars.")


class ReservationShown(Schema):
    """A reservation. It counts in every limit that applied to its call."""

    id = text()
    status = fields.String(required=True, metadata={"enum": ["open", "settled", "released", "expired"]})
    model = text()
    provider = text(null=True)
    virtual_key_id = text(null=True)
    user_id = text(null=True)
    requests = whole("Calls that it counts as: 1, or 0 once released.")
    tokens = fields.Nested(TokenAmounts, required=True)
    cost = fields.Nested(CostAmounts, required=True)
    overrun = fields.Nested(Overrun, required=True)
    created_at = instant()
    expires_at = instant("From then on a settle or release is late.")
    settled_at = instant(null=True)
    late = flag("Whether it ended after it had expired.")
    cost_source = cost_source()
    price = fields.Nested(PriceUsed, required=True, allow_none=True)


class ReservationFound(Schema):
    """A response with one reservation."""

    reservation = fields.Nested(ReservationShown, required=True)


class ReservationSettled(ReservationFound):
    """The response to a settle: the settled reservation."""

    warnings = warnings()


class ReservationList(Paged):
    """A page of reservations."""

    total_count = whole("How many match, before paging; null if there are more than 10,000.", null=True)

    reservations = fields.List(fields.Nested(ReservationShown), required=True)
