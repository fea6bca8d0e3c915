"""The amounts of a call, coming in: dollars, and tokens in one of three forms.

Tokens are given as `tokens`, as input and output with their parts, or as the `usage` object of a provider.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from governance.domain.limits import money
from governance.domain.pricing import provider_usage
from governance.domain.pricing.tokens import MAX_TOKENS, TokenCounts
from schemas.fields import BaseField, Integer, Number
from schemas.loading import SCHEMA, FlatBody

SPLIT = {
    "input_tokens": "input",
    "cached_input_tokens": "cached_input",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "input_audio_tokens": "input_audio",
    "output_tokens": "output",
    "output_audio_tokens": "output_audio",
}
"""The fields of split tokens, and the counts that they give."""
OTHER_FORMS = frozenset({*SPLIT, "usage"})
"""The fields that give tokens in another form than `tokens`."""
PARTS = {
    "input_tokens": "cached_input_tokens + cache_write_tokens + cache_write_1h_tokens + input_audio_tokens",
    "output_tokens": "output_audio_tokens",
}
"""The parts of each whole, as an error message names them."""


class Cost(Number):
    """The cost of one call in dollars, any number of decimals; becomes nano-dollars, rounded up."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=money.MAX_COST // money.NANOS, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number: int | Decimal = self._ranged(value)
        nanos, _exact = money.nanos(number, money.MAX_COST)
        return nanos


class Tokens(Integer):
    """The tokens of one call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=MAX_TOKENS, **kwargs)


class ProviderUsage(BaseField):
    """The usage object of a provider; becomes `TokenCounts`."""

    default_error_messages = {"object": "Give {field} as the object that the provider sent."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> TokenCounts:
        if not isinstance(value, Mapping):
            raise self.make_error("object")
        counts, faults = provider_usage.read(value)
        if faults:
            raise ValidationError({path or SCHEMA: messages for path, messages in faults.items()})
        return counts


def token_counts(data: Mapping[str, Any]) -> TokenCounts:
    """Return the token counts of a loaded body with usage or split tokens."""
    usage: TokenCounts | None = data.get("usage")
    return usage or TokenCounts(**{count: data[name] for name, count in SPLIT.items() if name in data})


def tokens(data: Mapping[str, Any]) -> int | None:
    """Return all tokens of a loaded body; None if it gives none."""
    given: int | None = data.get("tokens")
    return given if OTHER_FORMS.isdisjoint(data) else token_counts(data).total


class AmountsBody(FlatBody):
    """The amounts of a call: dollars, and tokens in one of three forms."""

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
        """Refuse tokens in two forms, and parts that exceed their whole."""
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
    """Refuse parts that exceed a whole that could be read, and a total that no call has."""
    counts = token_counts(data)
    for whole, rest in (("input_tokens", counts.plain_input), ("output_tokens", counts.plain_output)):
        is_read = whole in data or given.get(whole) is None
        if is_read and rest < 0:
            raise ValidationError(f"Give {whole} with its parts in it: {PARTS[whole]} are more.", whole)
    if counts.total > MAX_TOKENS:
        raise ValidationError(f"Give input_tokens and output_tokens of at most {MAX_TOKENS} together.", "input_tokens")
