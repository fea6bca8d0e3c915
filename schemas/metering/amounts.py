"""The fields of a body that say how much a call to a model uses: dollars, and tokens in one of three forms.

The forms are: the total (`tokens`), tokens by kind (`input_tokens`, `output_tokens` and their parts), or the `usage`
object of the provider.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from governance.domain.limits import money
from schemas.fields import Number
from schemas.loading import FlatBody
from schemas.pricing.token_counts import OTHER_FORMS, PARTS, SPLIT, ProviderUsage, Tokens, check_counts, token_counts


class Cost(Number):
    """The cost of one call in dollars, with any number of decimals. The loaded value is in nano-dollars, rounded up."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=money.MAX_COST // money.NANOS, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number: int | Decimal = self._ranged(value)
        nanos, _exact = money.nanos(number, money.MAX_COST)
        return nanos


class AmountsBody(FlatBody):
    """The dollars of a call, and its tokens in one of three forms."""

    tokens = Tokens(
        metadata={"description": "All tokens. Without them, give input_tokens and output_tokens, or usage."}
    )
    input_tokens = Tokens(metadata={"description": "All input, with its cached, written and audio tokens in it."})
    cached_input_tokens = Tokens(metadata={"description": "The part of the input that came from a cache."})
    cache_write_tokens = Tokens(metadata={"description": "The part of the input that a cache keeps for five minutes."})
    cache_write_1h_tokens = Tokens(metadata={"description": "The part of the input that a cache keeps for an hour."})
    input_audio_tokens = Tokens(metadata={"description": "The part of the input that is audio."})
    output_tokens = Tokens(metadata={"description": "All output, with reasoning and audio in it."})
    output_audio_tokens = Tokens(metadata={"description": "The part of the output that is audio."})
    usage = ProviderUsage(metadata={"description": "Instead of token fields: a provider's usage object, as it came."})
    cost = Cost(metadata={"description": "Dollars, rounded up to the billionth."})

    def one_form(self, data: dict[str, Any], original: Any) -> None:
        """Refuse tokens in two forms, parts that exceed the input or the output, and a total that is too large."""
        given = original if isinstance(original, Mapping) else data
        if not OTHER_FORMS.isdisjoint(given):
            _refuse_two_forms(given)
            _refuse_sums(data, given)


def _refuse_two_forms(given: Mapping[str, Any]) -> None:
    has_tokens = given.get("tokens") is not None
    is_split = any(given.get(name) is not None for name in SPLIT)
    if given.get("usage") is not None and (is_split or has_tokens):
        raise ValidationError("Give usage or token fields, not both: usage has all tokens.", "usage")
    if is_split and has_tokens:
        raise ValidationError("Give tokens, or input_tokens and output_tokens, not both.", "tokens")


def _refuse_sums(data: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse parts that exceed the input or the output, and a total above the largest number of tokens of one call.

    If the input or the output is itself invalid, it is not compared with its parts.
    """
    is_read = {whole: whole in data or given.get(whole) is None for whole in PARTS}
    check_counts(token_counts(data), [whole for whole in PARTS if is_read[whole]])
