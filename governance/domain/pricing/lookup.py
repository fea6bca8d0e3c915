"""The result of looking up a price."""

from collections.abc import Sequence
from typing import NamedTuple

from governance.domain.pricing.listed import ListInfo
from governance.domain.pricing.overrides import ModelKey
from governance.domain.pricing.schedule import EffectivePrice


class PriceLookup(NamedTuple):
    """The price of a model at the time `at`, and the cost of the tokens in the request.

    `found` is None if the model has no price. `model` is (provider, model) in canonical form. `not_priced` names the
    rates of the model in the price list that this service does not use. `is_asked` says whether the request contains
    tokens.
    """

    model: ModelKey
    at: int
    found: EffectivePrice | None
    cost: int | None
    is_asked: bool
    not_priced: Sequence[str]
    info: ListInfo
