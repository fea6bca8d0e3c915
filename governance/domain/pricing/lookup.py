"""The result of the look-up of a price."""

from collections.abc import Sequence
from typing import NamedTuple

from governance.domain.pricing.listed import ListInfo
from governance.domain.pricing.overrides import ModelKey
from governance.domain.pricing.schedule import EffectivePrice


class PriceLookup(NamedTuple):
    """The price of a model at an instant, None if it has none, and the cost of the tokens that were asked for.

    `model` is the canonical (provider, model). `not_priced` names rates of the list that are not used. `is_asked` says
    whether tokens were given.
    """

    model: ModelKey
    at: int
    found: EffectivePrice | None
    cost: int | None
    is_asked: bool
    not_priced: Sequence[str]
    info: ListInfo
