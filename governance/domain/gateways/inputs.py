"""The input of a request: an upper bound of its text, and the number of other inputs.

A token of a text has at least one byte, so the bytes of the request are an upper bound of its tokens. The JSON around a
message has more bytes than a model adds tokens for it. Media in the request are no text. They count like inputs that
the request only refers to.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MEDIA_KEYS = frozenset({"data", "bytes", "url", "image_url", "file_data"})
"""The keys under which requests have media, as base64 or as data URLs."""
REFERENCES = frozenset(
    {
        "file_id",
        "fileId",
        "file_uri",
        "fileUri",
        "fileData",
        "s3Location",
        "previous_response_id",
        "conversation",
        "cachedContent",
        "cached_content",
        "container",
        "mcp_servers",
    }
)
"""The keys that refer to input outside the request."""
LONGEST_INLINE = 1024
"""A shorter value under MEDIA_KEYS counts as text."""
OWN_TOOLS = ("function", "custom")
"""The types of tools that the caller runs. Other tools add input of their own, for example search results."""
TOOLS_PROMPT = 1024
"""The tokens that a provider may add to a call with tools. Anthropic documents up to 530."""


class InputSize(NamedTuple):
    """The bytes that may be text, the tokens of a prompt that the provider adds, and the number of other inputs."""

    text_bytes: int
    prompt_tokens: int
    outside: int


def size(data: bytes, body: Mapping[str, Any]) -> InputSize:
    """Return the size of the input of a request, from its bytes and its content."""
    media = references = 0
    for key, value in _pairs(body):
        if key in REFERENCES:
            references += 1
        elif key in MEDIA_KEYS and isinstance(value, str):
            if len(value) > LONGEST_INLINE:
                media += len(value)
                references += 1
            elif value.startswith(("http://", "https://")):
                references += 1
    tools = body.get("tools")
    references += sum(map(_is_foreign, tools)) if isinstance(tools, list) else 0
    references += isinstance(body.get("prompt"), Mapping)  # this is a prompt that OpenAI stores
    return InputSize(len(data) - media, TOOLS_PROMPT if tools else 0, references)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of all objects. The data of a text document is text, so it is left out."""
    if isinstance(value, list):
        for each in value:
            yield from _pairs(each)
    elif isinstance(value, Mapping):
        is_text = value.get("type") == "text"
        for key, inner in value.items():
            if inner is not None and not (is_text and key == "data"):
                yield key, inner
            if not isinstance(inner, str):
                yield from _pairs(inner)


def _is_foreign(tool: Any) -> bool:
    """Return whether the provider runs a tool.

    Such a tool has a type of its own, or is an object without a declaration.
    """
    if not isinstance(tool, Mapping):
        return False
    given = tool.get("type")
    if given is not None:
        return given not in OWN_TOOLS
    return tool.keys().isdisjoint(("name", "functionDeclarations", "function_declarations", "toolSpec"))
