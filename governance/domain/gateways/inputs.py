"""Measures the input of a request to a model: an upper bound of its text, and the number of its other inputs.

A text token has at least one byte, so the number of bytes is an upper bound of the number of tokens. A model adds some
tokens for each message. These tokens are fewer than the bytes of the JSON around the message. Media (for example
images) inside a request are not text. They are counted as other inputs, like files to which the request only refers.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MEDIA = frozenset({"data", "bytes", "file_data"})
"""The keys under which requests contain media as base64."""
REFERENCES = frozenset({"file_id", "fileId", "file_uri", "fileUri"})
"""The keys whose values refer to input outside the request."""
TOP_REFERENCES = (
    "previous_response_id",
    "conversation",
    "cachedContent",
    "cached_content",
    "container",
    "mcp_servers",
)
"""The top-level keys of a request that refer to input outside the request."""
OWN_JSON = frozenset(
    {
        "args",
        "function_call",
        "functionCall",
        "functions",
        "generation_config",
        "generationConfig",
        "inputSchema",
        "input_schema",
        "json",
        "metadata",
        "parameters",
        "response_format",
        "toolConfig",
        "toolUse",
        "tools",
    }
)
"""The keys of JSON that a model reads as text: tools, their schemas, their calls and their results."""
TOOL_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
"""The types of content whose key `input` also contains JSON that a model reads as text."""
BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]*={0,2}\s*")
DATA_URL = re.compile(r"data:[^,]{0,255};base64,")
OWN_TOOLS = ("function", "custom")
"""The types of tools that the caller runs. Other tools add their own input, for example search results."""
TOOLS_PROMPT = 1024
"""The number of tokens that a provider may add to a call with tools. Anthropic documents up to 530."""


class InputSize(NamedTuple):
    """The number of bytes that may be text, of tokens that the provider adds to the prompt, and of other inputs."""

    text_bytes: int
    prompt_tokens: int
    outside: int


def size(data: bytes, body: Mapping[str, Any]) -> InputSize:
    """Return the size of a request's input. `data` is the request as bytes, and `body` is the JSON parsed from it."""
    media = references = 0
    for under, content in _contents(body):
        for key, value in content.items():
            if isinstance(value, str):
                bytes_of_media = _media(key, value, under, content)
                references += bytes_of_media is not None
                media += bytes_of_media or 0
            elif key == "s3Location":
                references += 1
        references += content.get("type") == "item_reference"
    tools = body.get("tools")
    references += sum(map(_is_foreign, tools)) if isinstance(tools, list) else 0
    references += isinstance(body.get("prompt"), Mapping)  # a prompt that is stored at OpenAI
    references += sum(bool(body.get(key)) for key in TOP_REFERENCES)
    return InputSize(len(data) - media, TOOLS_PROMPT if tools else 0, references)


def _contents(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a (key, object) pair for each object that may contain media or references.

    The object, or the list that contains the object, is the value of the key.
    """
    waiting: list[tuple[str, Any]] = [("", body)]
    while waiting:
        under, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(under, each) for each in value if isinstance(each, dict | list)]
            continue
        yield under, value
        skips_input = bool(under) and value.get("type") in TOOL_CALLS
        waiting += [
            (key, each)
            for key, each in value.items()
            if isinstance(each, dict | list) and key not in OWN_JSON and not (skips_input and key == "input")
        ]


def _media(key: str, value: str, under: str, content: Mapping[str, Any]) -> int | None:
    """Return the number of bytes of media in a value.

    Return 0 for a reference to media or to a file. Return None for text.
    """
    if key in REFERENCES:
        return 0
    if key in MEDIA and content.get("type") != "text" and BASE64.fullmatch(value):
        return len(value)
    is_url = key.endswith("_url") or (key == "url" and (under == "source" or under.endswith("_url")))
    if value.startswith("data:") and (is_url or key in MEDIA):
        head = DATA_URL.match(value)
        return len(value) if head and BASE64.fullmatch(value, head.end()) else 0
    return 0 if is_url and value.startswith(("http:", "https:", "gs:", "s3:")) else None


def _is_foreign(tool: Any) -> bool:
    """Return whether the provider runs a tool.

    Such a tool has a type that is not in OWN_TOOLS, or it has no type, no name and no declaration.
    """
    if not isinstance(tool, Mapping):
        return False
    given = tool.get("type")
    if given is not None:
        return given not in OWN_TOOLS
    return tool.keys().isdisjoint(("name", "functionDeclarations", "function_declarations", "toolSpec"))
