"""What an answer that is kept for repeats remembers of its request: enough to tell an equal body from another.

No secret can be read off a fingerprint.
"""

import hashlib

import orjson

from governance.domain.metering.request import ReservationRequest

LENGTH = 16
"""The bytes of a fingerprint: the first ones of a SHA-256."""


def of(request: ReservationRequest) -> bytes:
    """The fingerprint of a validated body; an amount left out is not the same as 0."""
    told = [*request.call, *request.amounts, request.ttl_seconds, request.virtual_key]
    return _digest(orjson.dumps(told))


def before_absence(request: ReservationRequest) -> bytes:
    """The fingerprint of version 0.1.0, to which an amount left out was 0.

    Answers live for a day, so a repeat may come after the upgrade. The text has to stay what `repr` made of it.
    """
    model, provider, virtual_key_id, user_id = request.call
    call = f"Call({model=}, {provider=}, {virtual_key_id=}, {user_id=})"
    cost, tokens, requests = request.amounts.cost or 0, request.amounts.tokens or 0, request.amounts.requests
    amounts = f"Amounts({cost=}, {tokens=}, {requests=})"
    text = f"Ask({call=!s}, {amounts=!s}, ttl_seconds={request.ttl_seconds}, virtual_key={request.virtual_key!r})"
    return _digest(text.encode())


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:LENGTH]
