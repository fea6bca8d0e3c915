"""The result of looking up a price."""

from collections.abc import Sequence
from typing import NamedTuple

from governance.domain.pricing.listed import ListInfo
from governance.domain.pricing.overrides import ModelKey
from governance.domain.pricing.schedule import EffectivePrice


class PriceLookup(NamedTuple):
    """The price of a model at an instant, and the cost of the requested tokens.

    The price is None if the model has none. `model` is the canonical (provider, model). `not_priced` names the rates in
    the list that are not used. `is_asked` says whether the request contains tokens.
    """

    model: ModelKey
    at: int
    found: EffectivePrice | None
    cost: int | None
    is_asked: bool
    not_priced: Sequence[str]
    info: ListInfo
