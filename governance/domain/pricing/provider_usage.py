"""Converts a provider's `usage` object to token counts.

Providers use different names for the counts. Some providers count cached tokens as part of the input, and others count
them separately. A shape is one form of the `usage` object. `SHAPES` lists, for each shape, the keys that identify it,
and the keys whose values are added or subtracted to compute each count. All other keys are ignored.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from governance.domain.pricing.tokens import MAX_TOKENS, TokenCounts

Faults = dict[str, list[str]]
"""Error messages, by the path of the value in the object, for example `cache_creation.ephemeral_1h_input_tokens`."""
Path = tuple[str, ...]
"""The keys that lead to a count, from the outermost object inwards.

`[key=value]` selects the first object in a list in which `key` has that value.
"""


class Term(NamedTuple):
    """A number to add or to subtract: the value at the first of `paths` that exists, or 0 if no path exists."""

    paths: tuple[Path, ...]
    subtracted: bool = False


class Shape(NamedTuple):
    """A shape of `usage`.

    An object has this shape if it contains one of the keys in `marks`. `counts` contains, for each field of
    TokenCounts, the terms that add up to it.
    """

    name: str
    marks: tuple[str, ...]
    counts: Mapping[str, tuple[Term, ...]]


def _plus(*paths: str) -> Term:
    return Term(tuple(tuple(path.split(".")) for path in paths))


def _minus(*paths: str) -> Term:
    return _plus(*paths)._replace(subtracted=True)


SHAPES = (
    Shape(
        "Cohere",
        ("billed_units",),
        {
            "input": (_plus("billed_units.input_tokens"),),
            "output": (_plus("billed_units.output_tokens"),),
        },
    ),
    Shape(
        "Gemini",
        ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
        {
            "input": (_plus("promptTokenCount"), _plus("toolUsePromptTokenCount")),
            "cached_input": (_plus("cachedContentTokenCount"),),
            "input_audio": (
                _plus("promptTokensDetails.[modality=AUDIO].tokenCount"),
                _minus("cacheTokensDetails.[modality=AUDIO].tokenCount"),
            ),
            "output": (_plus("candidatesTokenCount", "responseTokenCount"), _plus("thoughtsTokenCount")),
            "output_audio": (
                _plus(
                    "candidatesTokensDetails.[modality=AUDIO].tokenCount",
                    "responseTokensDetails.[modality=AUDIO].tokenCount",
                ),
            ),
        },
    ),
    Shape(
        "Bedrock Converse",
        ("inputTokens", "outputTokens"),
        {
            "input": (_plus("inputTokens"), _plus("cacheReadInputTokens"), _plus("cacheWriteInputTokens")),
            "cached_input": (_plus("cacheReadInputTokens"),),
            "cache_write": (_plus("cacheWriteInputTokens"), _minus("cacheDetails.[ttl=1h].inputTokens")),
            "cache_write_1h": (_plus("cacheDetails.[ttl=1h].inputTokens"),),
            "output": (_plus("outputTokens"),),
        },
    ),
    Shape(
        "OpenAI chat, Mistral, DeepSeek, vLLM",
        ("prompt_tokens", "completion_tokens"),
        {
            "input": (_plus("prompt_tokens"),),
            "cached_input": (_plus("prompt_tokens_details.cached_tokens", "prompt_cache_hit_tokens"),),
            "cache_write": (_plus("prompt_tokens_details.cache_write_tokens"),),
            "input_audio": (_plus("prompt_tokens_details.audio_tokens"),),
            "output": (_plus("completion_tokens"),),
            "output_audio": (_plus("completion_tokens_details.audio_tokens"),),
        },
    ),
    Shape(
        "Anthropic",
        ("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"),
        {
            "input": (_plus("input_tokens"), _plus("cache_read_input_tokens"), _plus("cache_creation_input_tokens")),
            "cached_input": (_plus("cache_read_input_tokens"),),
            "cache_write": (
                _plus("cache_creation_input_tokens"),
                _minus("cache_creation.ephemeral_1h_input_tokens"),
            ),
            "cache_write_1h": (_plus("cache_creation.ephemeral_1h_input_tokens"),),
            "output": (_plus("output_tokens"),),
        },
    ),
    Shape(
        "OpenAI responses",
        ("input_tokens", "output_tokens"),
        {
            "input": (_plus("input_tokens"),),
            "cached_input": (_plus("input_tokens_details.cached_tokens", "input_token_details.cached_tokens"),),
            "cache_write": (_plus("input_tokens_details.cache_write_tokens"),),
            "input_audio": (
                _plus("input_tokens_details.audio_tokens", "input_token_details.audio_tokens"),
                _minus("input_token_details.cached_tokens_details.audio_tokens"),
            ),
            "output": (_plus("output_tokens"),),
            "output_audio": (_plus("output_tokens_details.audio_tokens", "output_token_details.audio_tokens"),),
        },
    ),
)
"""All shapes.

If an object contains marks of several shapes, the first of these shapes is used. So the shapes whose marks occur in no
other shape come first. In November 2026, the counts of the samples in `tests/domain/pricing/usages.py` were compared
with the counts that genai-prices 0.2.3 extracts. The samples of OpenAI's realtime API and of vLLM were not compared.
"""
WHOLE = ""
"""The path of a fault that is about the whole object."""
UNKNOWN = (
    "Give usage as the provider sent it, with prompt_tokens, input_tokens, inputTokens, promptTokenCount or "
    "billed_units; or give input_tokens and output_tokens instead."
)
PARTS = "Give usage as the provider sent it: read as {shape}, its {name} tokens are fewer than their parts."


def read(usage: Mapping[str, Any]) -> tuple[TokenCounts, Faults]:
    """Return the token counts in a provider's usage object, and the faults of the object."""
    shape = next((shape for shape in SHAPES if not usage.keys().isdisjoint(shape.marks)), None)
    if shape is None:
        return TokenCounts(), {WHOLE: [UNKNOWN]}
    faults: Faults = {}
    found = {name: sum(_value(usage, term, faults) for term in terms) for name, terms in shape.counts.items()}
    counts = TokenCounts(**found)
    return counts, faults or _faults_of_sums(shape, counts)


def _value(usage: Mapping[str, Any], term: Term, faults: Faults) -> int:
    """Return the number of a term: positive if it is added, negative if it is subtracted.

    Return 0 if the value is missing. If the value is not a count, add an error message to `faults` and return 0.
    """
    for path in term.paths:
        value = _at(usage, path)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TOKENS:
            name = ".".join(step for step in path if not step.startswith("["))
            faults[name] = [f"Give usage.{name} as a whole number from 0 to {MAX_TOKENS}."]
            return 0
        return -value if term.subtracted else value
    return 0


def _at(value: Any, path: Path) -> Any:
    """Return the value at a path. Return None if the value is null or missing."""
    for step in path:
        if step.startswith("["):
            value = _selected(value, step)
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _selected(items: Any, step: str) -> Any:
    key, _, wanted = step[1:-1].partition("=")
    among = items if isinstance(items, list) else []
    return next((item for item in among if isinstance(item, Mapping) and item.get(key) == wanted), None)


def _faults_of_sums(shape: Shape, counts: TokenCounts) -> Faults:
    """Return error messages if the parts exceed the whole input or output, or if the total exceeds MAX_TOKENS."""
    least = {"input": min(counts.plain_input, *counts[:5]), "output": min(counts.plain_output, *counts[5:])}
    messages = [PARTS.format(shape=shape.name, name=name) for name, count in least.items() if count < 0]
    if counts.total > MAX_TOKENS:
        messages.append(f"Give usage of at most {MAX_TOKENS} tokens together.")
    return {WHOLE: messages} if messages else {}
