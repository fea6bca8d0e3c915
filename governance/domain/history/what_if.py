"""Describes what a limit would have done with past calls."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from governance.domain.history.query import Group
from governance.domain.limits.limit import Limit
from governance.domain.metering.decision import MatchedRule
from governance.domain.metering.request import Call


class Bounds(NamedTuple):
    """A number that is known to be between `least` and `most`. Both are equal if the number is known exactly."""

    least: int
    most: int


class RefusedCalls(NamedTuple):
    """The calls of one provider, model, virtual key or user.

    `value` is the name or the id of the provider, model, virtual key or user. It is '' for calls without one.
    """

    value: str
    calls: int
    refused: Bounds


class RefusedGroup(NamedTuple):
    """The providers, models, virtual keys or users whose calls would have been refused.

    `top` contains those with the most refused calls, sorted by this number. `others` is the number of providers,
    models, virtual keys or users that are not in `top`. `others_refused` is the number of their refused calls.
    """

    top: Sequence[RefusedCalls] = ()
    others: int = 0
    others_refused: Bounds = Bounds(0, 0)


NOBODY_REFUSED: Mapping[Group, RefusedGroup] = MappingProxyType({group: RefusedGroup() for group in Group})


class WhatIf(NamedTuple):
    """What a limit would have done.

    Money is in nano-dollars. Instants are in microseconds. `calls`, `cost` and `tokens` count all calls to which the
    limit applies. `spent` and `spent_tokens` count the calls that the limit would have admitted. The first refusal was
    between `earliest` and `latest`. `earliest` is None if there was certainly no refusal. `latest` is None if no
    refusal is certain.
    """

    is_exact: bool
    calls: int
    cost: int
    tokens: int
    refused: Bounds
    spent: Bounds
    spent_tokens: Bounds
    earliest: int | None
    latest: int | None
    refused_by: Mapping[Group, RefusedGroup] = NOBODY_REFUSED


class StoredCall(NamedTuple):
    """A stored reservation, or a report of usage without a reservation.

    `ended_at` is None while the reservation is open.
    """

    seq: int
    admitted_at: int
    call: Call
    is_report: bool
    requests: int
    held_tokens: int
    held_cost: int
    used_tokens: int
    used_cost: int
    ended_at: int | None


class BucketSum(NamedTuple):
    """The usage of all calls in a bucket, which is a span of 15 minutes."""

    start: int
    requests: int
    tokens: int
    cost: int


def matched_rules(limit: Limit) -> Sequence[MatchedRule]:
    """Return the rules of a limit in the form that `governance.domain.metering.decision.decide` expects."""
    return [MatchedRule(rule, limit, None, (0, 0)) for rule in limit.rules]
