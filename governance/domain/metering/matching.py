"""Finds the limits that apply to a call (docs/contract.md §6).

The scope of a limit says whose calls the limit counts: those of a user, those of a virtual key, or all calls. The tier
of a limit says whether the limit names the provider, the model, both or neither. The identity of a limit is its scope,
scope id, provider and model. No two limits have the same identity. Each identity that may apply to the call is looked
up. This takes about 24 look-ups, however many limits are stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from governance.domain.limits.limit import Limit, Scope, scope_words
from governance.domain.metering.request import Call
from governance.domain.names import (
    ALL_MODELS,
    Identity,
    canonical_model,
    spelled,
    spellings,
)


class Match(NamedTuple):
    """A limit that applies. `rank` is (index of the scope in `SCOPES`, tier). A lower rank is more specific."""

    limit_id: str
    rank: tuple[int, int]


class UnmatchedLimit(NamedTuple):
    """A limit on the call's model or provider that does not apply to the call, and the reason."""

    limit: Limit
    reason: str


class UnmatchedLimits(NamedTuple):
    """How many limits on the call's model or provider do not apply to the call, and a list of the first of them."""

    total: int
    limits: Sequence[UnmatchedLimit]


SCOPES = (Scope.USER, Scope.VIRTUAL_KEY, Scope.GLOBAL)
"""All scopes, the most specific first."""


def scopes(call: Call) -> Iterator[tuple[int, Scope, str]]:
    """Yield, for each scope of a call, its index in `SCOPES`, the scope and the scope id.

    The most specific scope comes first.
    """
    ids = {Scope.USER: call.user_id, Scope.VIRTUAL_KEY: call.virtual_key_id, Scope.GLOBAL: ""}
    for place, scope in enumerate(SCOPES):
        scope_id = ids[scope]
        if scope_id is not None:
            yield place, scope, scope_id


def tiers(call: Call) -> set[tuple[int, str, str]]:
    """Return each (tier, provider, model) that a limit on this call's provider and model may have.

    A model may be spelled with or without its provider. All spellings are included. The spelling in the call itself is
    included too, even if it begins with the name of another provider.
    """
    provider, bare = spelled(call.model, call.provider)
    written = canonical_model(call.model, call.provider)
    names = {written, *spellings(provider, bare)} if provider else {written}
    found = {(1, "", name) for name in names} | {(3, "", ALL_MODELS)}
    if provider:
        found |= {(0, provider, name) for name in names} | {(2, provider, ALL_MODELS)}
    return found


def matches(call: Call, index: Mapping[Identity, str]) -> list[Match]:
    """Return the limits that apply to a call, without duplicates, the most specific first."""
    known: dict[str, Match] = {}
    asked = sorted(tiers(call))
    for place, scope, scope_id in scopes(call):
        for tier, provider, model in asked:
            limit_id = index.get(Identity(scope, scope_id, provider, model))
            if limit_id is not None:
                known.setdefault(limit_id, Match(limit_id, (place, tier)))
    return list(known.values())


def reason(call: Call, identity: Identity) -> str:
    """Return a sentence that says why the limit with this identity does not apply to a call."""
    ids = {scope: scope_id for _, scope, scope_id in scopes(call)}
    provider, model = spelled(call.model, call.provider)
    if identity.scope not in ids:
        return f"It is bound to the {scope_words(identity.scope)} {identity.scope_id}, and the call names none."
    if identity.scope_id != ids[Scope(identity.scope)]:
        return f"It is bound to the {scope_words(identity.scope)} {identity.scope_id}, and the call is for another."
    if identity.provider not in ("", provider):
        return f"It is on the provider {identity.provider}, and the call is to {provider or 'none by name'}."
    return f"It is on the model {identity.model}, and the call is to {model}."
