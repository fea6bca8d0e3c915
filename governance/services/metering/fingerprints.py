"""Computes fingerprints of request bodies.

If a request has an Idempotency-Key, the fingerprint of its body is stored with the response. If a client sends the same
key with another body, the fingerprints differ, so the request can be refused. No secret can be read from a fingerprint.
"""

import hashlib

import orjson

from governance.domain.metering.request import ReservationRequest

LENGTH = 16
"""The length of a fingerprint in bytes. A fingerprint is the first part of a SHA-256 digest."""


def of(request: ReservationRequest) -> bytes:
    """Return the fingerprint of a validated body.

    A missing amount and an amount of 0 give different fingerprints. A body may contain its tokens by kind (input,
    output and others). If it does not, the fingerprint is the same as in earlier versions.
    """
    cost, tokens, requests, counts = request.amounts
    told = [*request.call, cost, tokens, requests, request.ttl_seconds, request.virtual_key]
    return _digest(orjson.dumps(told if counts is None else [*told, *counts]))


def of_report(request: ReservationRequest) -> bytes:
    """Return the fingerprint of a validated usage report.

    If a report has neither a cost nor tokens by kind, its cost counts as 0.
    """
    cost, _, _, counts = request.amounts
    if cost is None and counts is None:
        request = request._replace(amounts=request.amounts._replace(cost=0))
    return of(request)


def before_absence(request: ReservationRequest) -> bytes:
    """Return the fingerprint that version 0.1.0 computed.

    In that version, a missing amount counted as 0. Responses are stored for one day, so a client may repeat a request
    after an upgrade from that version. The text must stay equal to what `repr` returned in version 0.1.0.
    """
    model, provider, virtual_key_id, user_id = request.call
    call = f"Call({model=}, {provider=}, {virtual_key_id=}, {user_id=})"
    cost, tokens, requests = request.amounts.cost or 0, request.amounts.tokens or 0, request.amounts.requests
    amounts = f"Amounts({cost=}, {tokens=}, {requests=})"
    text = f"Ask({call=!s}, {amounts=!s}, ttl_seconds={request.ttl_seconds}, virtual_key={request.virtual_key!r})"
    return _digest(text.encode())


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:LENGTH]
