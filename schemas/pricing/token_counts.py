"""The fields for the tokens of a call: the total, tokens by kind, or the `usage` object of a provider."""

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError

from governance.domain.pricing import provider_usage
from governance.domain.pricing.tokens import MAX_TOKENS, TokenCounts
from schemas.fields import BaseField, Integer
from schemas.loading import SCHEMA

SPLIT = {
    "input_tokens": "input",
    "cached_input_tokens": "cached_input",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "input_audio_tokens": "input_audio",
    "output_tokens": "output",
    "output_audio_tokens": "output_audio",
}
"""For each field with tokens of one kind, the field of `TokenCounts` that contains the same number."""
OTHER_FORMS = frozenset({*SPLIT, "usage"})
"""All fields for tokens, except the total (`tokens`)."""
PARTS = {
    "input_tokens": "cached_input_tokens + cache_write_tokens + cache_write_1h_tokens + input_audio_tokens",
    "output_tokens": "output_audio_tokens",
}
"""The parts of the input tokens and of the output tokens, as error messages contain them."""


class Tokens(Integer):
    """A number of tokens of one call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=MAX_TOKENS, **kwargs)


class ProviderUsage(BaseField):
    """The usage object of a provider. The loaded value is a `TokenCounts`."""

    default_error_messages = {"object": "Give {field} as the object that the provider sent."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> TokenCounts:
        if not isinstance(value, Mapping):
            raise self.make_error("object")
        counts, faults = provider_usage.read(value)
        if faults:
            raise ValidationError({path or SCHEMA: messages for path, messages in faults.items()})
        return counts


def token_counts(data: Mapping[str, Any]) -> TokenCounts:
    """Build the token counts from a loaded body that contains `usage` or tokens by kind."""
    usage: TokenCounts | None = data.get("usage")
    return usage or TokenCounts(**{count: data[name] for name, count in SPLIT.items() if name in data})


def given_tokens(data: Mapping[str, Any]) -> tuple[int | None, TokenCounts | None]:
    """Return the total of the tokens in a loaded body, and the tokens by kind.

    Tokens by kind are None if the body does not give them. The total is None if the body gives no tokens at all.
    """
    if OTHER_FORMS.isdisjoint(data):
        return data.get("tokens"), None
    counts = token_counts(data)
    return counts.total, counts


def check_counts(counts: TokenCounts, wholes: Iterable[str] = tuple(PARTS)) -> None:
    """Raise ValidationError if parts exceed the input or the output, or if the total exceeds MAX_TOKENS."""
    rests = {"input_tokens": counts.plain_input, "output_tokens": counts.plain_output}
    for whole in wholes:
        if rests[whole] < 0:
            raise ValidationError(f"Give {whole} with its parts in it: {PARTS[whole]} are more.", whole)
    if counts.total > MAX_TOKENS:
        raise ValidationError(f"Give input_tokens and output_tokens of at most {MAX_TOKENS} together.", "input_tokens")
