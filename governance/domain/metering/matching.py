"""Which limits apply to a call: four tiers in each scope in play, all of them together (docs/contract.md §6).

Some two dozen look-ups by identity, however many limits are stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from governance.domain.limits.limit import Limit, Scope
from governance.domain.metering.request import Call
from governance.domain.names import (
    ALL_MODELS,
    Identity,
    canonical_model,
    spelled,
    spellings,
)


class Match(NamedTuple):
    """A limit that applies. The lower the rank, the more specific: (scope, tier)."""

    limit_id: str
    rank: tuple[int, int]


class UnmatchedLimit(NamedTuple):
    """A limit of a call's model or provider, and why it does not apply to the call."""

    limit: Limit
    reason: str


class UnmatchedLimits(NamedTuple):
    """How many such limits there are, and the first of them."""

    total: int
    limits: Sequence[UnmatchedLimit]


SCOPES = (Scope.USER, Scope.VIRTUAL_KEY, Scope.GLOBAL)
"""The most specific first."""


def scopes(call: Call) -> Iterator[tuple[int, Scope, str]]:
    """The scopes in play with their ids, the most specific first, each with its place in that order."""
    ids = {Scope.USER: call.user_id, Scope.VIRTUAL_KEY: call.virtual_key_id, Scope.GLOBAL: ""}
    for place, scope in enumerate(SCOPES):
        scope_id = ids[scope]
        if scope_id is not None:
            yield place, scope, scope_id


def tiers(call: Call) -> set[tuple[int, str, str]]:
    """(tier, provider, model) under which a limit may be stored, in whatever spelling of the model.

    A model is also looked up as it is written, whatever provider its spelling names.
    """
    provider, bare = spelled(call.model, call.provider)
    written = canonical_model(call.model, call.provider)
    names = {written, *spellings(provider, bare)} if provider else {written}
    found = {(1, "", name) for name in names} | {(3, "", ALL_MODELS)}
    if provider:
        found |= {(0, provider, name) for name in names} | {(2, provider, ALL_MODELS)}
    return found


def matches(call: Call, index: Mapping[Identity, str]) -> list[Match]:
    """The limits that apply to a call, each once, the most specific first."""
    known: dict[str, Match] = {}
    asked = sorted(tiers(call))
    for place, scope, scope_id in scopes(call):
        for tier, provider, model in asked:
            limit_id = index.get(Identity(scope, scope_id, provider, model))
            if limit_id is not None:
                known.setdefault(limit_id, Match(limit_id, (place, tier)))
    return list(known.values())


def reason(call: Call, identity: Identity) -> str:
    """Why a limit of this identity does not apply to a call."""
    ids = {scope: scope_id for _, scope, scope_id in scopes(call)}
    provider, model = spelled(call.model, call.provider)
    if identity.scope not in ids:
        return f"It is bound to the {identity.scope} {identity.scope_id}, and the call names none."
    if identity.scope_id != ids[Scope(identity.scope)]:
        return f"It is bound to the {identity.scope} {identity.scope_id}, and the call is for another."
    if identity.provider not in ("", provider):
        return f"It is on the provider {identity.provider}, and the call is to {provider or 'none by name'}."
    return f"It is on the model {identity.model}, and the call is to {model}."
