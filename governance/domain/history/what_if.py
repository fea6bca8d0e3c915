"""What a limit would have done with the calls of the past."""

from collections.abc import Sequence
from typing import NamedTuple

from governance.domain.limits.limit import Limit
from governance.domain.metering.decision import MatchedRule
from governance.domain.metering.request import Call


class Bounds(NamedTuple):
    """A number that is known to lie from `least` to `most`. They are equal if it is known exactly."""

    least: int
    most: int


class WhatIf(NamedTuple):
    """What a limit would have done. Money is in nano-dollars, instants are in microseconds.

    `calls`, `cost` and `tokens` are those of all calls that the limit applies to. `spent` and `spent_tokens` are what
    the calls that it had let pass used. The first refusal was between `earliest` and `latest`: None for `earliest` if
    there was none, None for `latest` if it is not certain that there was one.
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


class StoredCall(NamedTuple):
    """A reservation or a report as it is stored. `ended_at` is None while the reservation is open."""

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
    """What all calls of a bucket have used."""

    start: int
    requests: int
    tokens: int
    cost: int


def matched_rules(limit: Limit) -> Sequence[MatchedRule]:
    """Return the rules of a limit as a decision takes them."""
    return [MatchedRule(rule, limit, None, (0, 0)) for rule in limit.rules]
