"""Describes the response to a reverse proxy that reports the end of a call to a model."""

from marshmallow import fields

from governance.domain.gateways.charged import Charged, NoUsage
from schemas.responses.reservations import ReservationSettled


class ProxiedCallSettled(ReservationSettled):
    """The settled reservation of the call. `charged` says whether the usage or another amount was charged."""

    charged = fields.String(
        required=True,
        metadata={
            "enum": [each.value for each in Charged],
            "description": "usage: what the answer tells. as_held: what was held, since the answer tells no usage. "
            "nothing: the upstream failed. earlier: the reservation had ended before.",
        },
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "enum": [*(each.value for each in NoUsage), None],
            "description": "Why the call was charged as it was held; otherwise null.",
        },
    )
