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
    "input_tokens": ("cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens"),
    "output_tokens": ("output_audio_tokens",),
}


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
            at = f"{provider_usage.NAME}."
            raise ValidationError(
                [fault.message for fault in faults if fault.param == provider_usage.NAME]
                or {str(fault.param).removeprefix(at): [fault.message] for fault in faults}
            )
        return counts


def token_counts(data: Mapping[str, Any]) -> TokenCounts:
    """Return the token counts of a loaded body with usage or split tokens."""
    usage: TokenCounts | None = data.get("usage")
    return usage or TokenCounts(**{count: data[name] for name, count in SPLIT.items() if name in data})


def tokens(data: Mapping[str, Any]) -> int | None:
    """Return all tokens of a loaded body; None if it gives none."""
    given: int | None = data.get("tokens")
    return given if OTHER_FORMS.isdisjoint(data) else token_counts(data).total


def refuse_forms(data: Mapping[str, Any], original: Any) -> None:
    """Raise ValidationError if tokens are given in two forms, or if parts exceed their whole."""
    given = original if isinstance(original, Mapping) else data
    split = [name for name in SPLIT if given.get(name) is not None]
    if given.get("usage") is not None and (split or given.get("tokens") is not None):
        raise ValidationError("Give usage or token fields, not both: usage has all tokens.", "usage")
    if split and given.get("tokens") is not None:
        raise ValidationError("Give tokens, or input_tokens and output_tokens, not both.", "tokens")
    for whole, parts in PARTS.items():
        is_read = whole in data or given.get(whole) is None
        if is_read and data.get(whole, 0) < sum(data.get(part, 0) for part in parts):
            raise ValidationError(f"Give {whole} with its parts in it: {' + '.join(parts)} are more.", whole)
    if token_counts(data).total > MAX_TOKENS:
        raise ValidationError(f"Give input_tokens and output_tokens of at most {MAX_TOKENS} together.", "input_tokens")
