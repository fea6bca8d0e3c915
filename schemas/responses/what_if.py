"""Describes the response of `POST /what-if`: what a limit would have done with past calls."""

from typing import Any

from marshmallow import Schema, fields

from governance.domain.history.refused_groups import MOST_REFUSED
from schemas.responses.fields import dollars, flag, instant, text, whole


def _top(schema: type[Schema]) -> fields.List[Any]:
    """Return the field for a list of the providers, models, virtual keys or users with the most refused calls."""
    words = f"At most {MOST_REFUSED}, the most refused calls first."
    return fields.List(fields.Nested(schema), required=True, metadata={"description": words})


class CallBounds(Schema):
    """Bounds of a number of calls or tokens. They are equal if the number is known exactly."""

    at_least = whole()
    at_most = whole()


class FirstRefused(Schema):
    """Two instants between which the limit would have refused a call for the first time."""

    earliest = instant("null: no call.", null=True)
    latest = instant("null: it is not certain that any call would have been.", null=True)


class CostBounds(Schema):
    """Bounds of an amount of dollars. They are equal if the amount is known exactly."""

    at_least = dollars("Not less than this.")
    at_most = dollars("Not more than this.")


class CostCompared(Schema):
    """The dollars of all calls, and of the calls that the limit would have admitted."""

    all_calls = dollars("What all calls used.")
    admitted_calls = fields.Nested(CostBounds, required=True)


class TokensCompared(Schema):
    """The tokens of all calls, and of the calls that the limit would have admitted."""

    all_calls = whole("What all calls used.")
    admitted_calls = fields.Nested(CallBounds, required=True)


class RefusedShown(Schema):
    """The calls of one provider, model, virtual key or user."""

    calls = whole("The calls that the limit applies to.")
    refused = fields.Nested(CallBounds, required=True)


class RefusedByProvider(RefusedShown):
    """The calls of one provider."""

    provider = text("The provider; null: the calls named none.", null=True)


class RefusedByModel(RefusedShown):
    """The calls of one model."""

    model = text("The model.", null=True)


class RefusedByVirtualKey(RefusedShown):
    """The calls of one virtual key."""

    virtual_key_id = text("The virtual key's id; null: the calls had none.", null=True)
    virtual_key_name = text("Its name; of a deleted key the last one that is known.", null=True)


class RefusedByUser(RefusedShown):
    """The calls of one user."""

    user_id = text("The user's id; null: the calls had none.", null=True)
    user_name = text("The user's name, if one is stored.", null=True)


class OthersRefused(Schema):
    """All those that the list `top` does not contain, for example all other models."""

    count = whole("How many of them have calls that would have been refused.")
    refused = fields.Nested(CallBounds, required=True)


class RefusedList(Schema):
    """Whose calls would have been refused. Subclasses add `top`, a list of providers, models, virtual keys or users."""

    others = fields.Nested(OthersRefused, required=True)


class RefusedProviders(RefusedList):
    """The providers whose calls would have been refused."""

    top = _top(RefusedByProvider)


class RefusedModels(RefusedList):
    """The models whose calls would have been refused."""

    top = _top(RefusedByModel)


class RefusedVirtualKeys(RefusedList):
    """The virtual keys whose calls would have been refused."""

    top = _top(RefusedByVirtualKey)


class RefusedUsers(RefusedList):
    """The users whose calls would have been refused."""

    top = _top(RefusedByUser)


class RefusedBy(Schema):
    """Whose calls would have been refused. Each refused call counts once in each of these four fields."""

    provider = fields.Nested(RefusedProviders, required=True)
    model = fields.Nested(RefusedModels, required=True)
    virtual_key = fields.Nested(RefusedVirtualKeys, required=True)
    user = fields.Nested(RefusedUsers, required=True)


class WhatIfShown(Schema):
    """What the limit would have done with the past calls to which it applies."""

    since = instant()
    until = instant()
    is_exact = flag("true: each call was replayed. false: the bounds come from sums of 15 minutes.")
    calls = whole("The calls that the limit applies to.")
    refused = fields.Nested(CallBounds, required=True)
    first_refused = fields.Nested(FirstRefused, required=True)
    refused_by = fields.Nested(RefusedBy, required=True)
    cost = fields.Nested(CostCompared, required=True)
    tokens = fields.Nested(TokensCompared, required=True)
