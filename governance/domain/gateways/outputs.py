"""Computes how many output tokens a request to a model allows.

This is the largest maximum in the request, times the number of choices (answers to one prompt), times the number of
prompts. A path leads to a field of the request, for example `generationConfig.maxOutputTokens`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from governance.domain.gateways.model_call import unreadable, whole


class OutputFields(NamedTuple):
    """The paths that may lead to a request's maximum of output tokens, and to its number of choices."""

    maxima: Sequence[str]
    choices: Sequence[str] = ()


OPENAI = OutputFields(("max_completion_tokens", "max_tokens", "max_output_tokens"), ("n", "best_of"))
ANTHROPIC = OutputFields(("max_tokens", "max_tokens_to_sample"))
GEMINI = OutputFields(
    (
        "generationConfig.maxOutputTokens",
        "generationConfig.max_output_tokens",
        "generation_config.maxOutputTokens",
        "generation_config.max_output_tokens",
        "parameters.maxOutputTokens",
    ),
    (
        "generationConfig.candidateCount",
        "generationConfig.candidate_count",
        "generation_config.candidateCount",
        "generation_config.candidate_count",
        "parameters.candidateCount",
    ),
)
BEDROCK = OutputFields(
    (
        "inferenceConfig.maxTokens",
        "inferenceConfig.max_new_tokens",
        "max_tokens",
        "max_tokens_to_sample",
        "max_gen_len",
        "maxTokens",
        "textGenerationConfig.maxTokenCount",
        "additionalModelRequestFields.max_tokens",
    ),
    ("num_generations", "numResults"),
)


def largest(body: Mapping[str, Any], fields: OutputFields, usual: int) -> tuple[int, bool]:
    """Return the largest number of output tokens that a request allows, and whether the request sets a maximum.

    `usual` is used if the request sets no maximum. Raises InvalidRequest.
    """
    maxima = [whole(path, value) for path in fields.maxima if (value := _at(body, path)) is not None]
    answers = max([1, *(whole(path, _at(body, path)) for path in fields.choices)]) * _prompts(body)
    return max(maxima, default=usual) * answers, bool(maxima)


def _prompts(body: Mapping[str, Any]) -> int:
    """Return the number of prompts in a request to OpenAI's older completions.

    Several prompts are a list of texts, or a list of lists of tokens.
    """
    prompt = body.get("prompt")
    is_many = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
    return len(prompt) if is_many and isinstance(prompt, list) else 1


def _at(body: Mapping[str, Any], path: str) -> Any:
    found: Any = body
    for step in path.split("."):
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise unreadable(f"Give {path.rpartition('.')[0]} as an object.", path)
        found = found.get(step)
    return found
