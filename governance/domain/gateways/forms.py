"""Reads how many tokens a request to a model may use. The URL path of the request decides how its body is read."""

import posixpath
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from governance.domain import strict_json
from governance.domain.gateways import inputs, outputs
from governance.domain.gateways.model_call import HoldSizes, ModelCall, unreadable
from governance.domain.gateways.outputs import OutputFields
from governance.domain.names import MAX_NAME, has_control, spelled, visible
from governance.domain.pricing.tokens import MAX_TOKENS

DEEPEST = 200
"""The largest depth of nested objects and arrays that a request may have.

This service's own endpoints allow less depth. Requests to models need more, because the schemas of tools are nested
deeply.
"""
NO_MODEL = "Name the model: this request has none that can be read."
NO_BODY = "Send the request of the model as the body: the proxy must pass it on."


class Form(NamedTuple):
    """One kind of request to a model: its provider, the pattern of its URL paths, and the fields that bound its output.

    A path may contain the name of the model. `has_output` is false for embeddings.
    """

    provider: str
    path: re.Pattern[str]
    fields: OutputFields
    has_output: bool = True


def _form(provider: str, path: str, fields: OutputFields, *, has_output: bool = True) -> Form:
    return Form(provider, re.compile(path, re.IGNORECASE), fields, has_output)


COMPLETIONS, EMBEDDINGS = "(?:chat/completions|completions|responses)$", "embeddings$"
GENERATE, EMBED = ":(?:generateContent|streamGenerateContent)$", ":(?:embedContent|batchEmbedContents)$"
VERTEX = r"/publishers/[^/]+/models/(?P<model>[^/:]+)"
INVOKE = "(?:converse|converse-stream|invoke|invoke-with-response-stream)$"
FORMS = (
    _form("azure", f"/deployments/(?P<model>[^/]+)/{COMPLETIONS}", outputs.OPENAI),
    _form("azure", f"/deployments/(?P<model>[^/]+)/{EMBEDDINGS}", outputs.OPENAI, has_output=False),
    _form("vertex", f"{VERTEX}{GENERATE}", outputs.GEMINI),
    _form("vertex", f"{VERTEX}:(?:rawPredict|streamRawPredict)$", outputs.ANTHROPIC),
    _form("vertex", f"{VERTEX}:(?:predict|embedContent)$", outputs.GEMINI, has_output=False),
    _form("gemini", f"/models/(?P<model>[^/:]+){GENERATE}", outputs.GEMINI),
    _form("gemini", f"/models/(?P<model>[^/:]+){EMBED}", outputs.GEMINI, has_output=False),
    _form("bedrock", f"/model/(?P<model>.+)/{INVOKE}", outputs.BEDROCK),
    _form("anthropic", "/messages$", outputs.ANTHROPIC),
    _form("openai", f"/{COMPLETIONS}", outputs.OPENAI),
    _form("openai", f"/{EMBEDDINGS}", outputs.OPENAI, has_output=False),
)
"""All forms. The first form whose pattern matches is used. So the forms with the model in the path come first."""
NAMELESS = Form("", re.compile(""), OutputFields(outputs.OPENAI.maxima, outputs.OPENAI.choices))
"""The form for a request whose path is not known.

It reads the model and the maximum from the fields that OpenAI and Anthropic use.
"""


def form_of(path: str) -> tuple[Form, str | None] | None:
    """Return the form for a path, and the model that the path contains.

    The server of the model may accept a path with doubled slashes, a trailing slash, or dot segments. So these parts
    are removed before the path is compared.
    """
    plain = posixpath.normpath("/" + unquote(path).lstrip("/"))
    for form in FORMS:
        found = form.path.search(plain)
        if found is not None:
            return form, found.groupdict().get("model")
    return None


def read(data: bytes, form: Form, model: str | None, sizes: HoldSizes) -> ModelCall:
    """Read the call from a request. `model` is the model that the path contains. Raises InvalidRequest."""
    if not data:
        raise unreadable(NO_BODY)
    body = strict_json.read_object(data, deepest=DEEPEST)
    _refuse_lookalikes(body, form.fields)
    named = model_name(body.get("model") if model is None else model)
    size = inputs.size(data, body)
    output, is_named = outputs.largest(body, form.fields, sizes.output) if form.has_output else (0, True)
    tokens = size.text_bytes + size.prompt_tokens + size.outside * sizes.outside_input
    if max(tokens, output) > MAX_TOKENS:
        raise unreadable(f"Ask for at most {MAX_TOKENS} tokens.")
    return ModelCall(named, provider_of(form, named), tokens, output, is_bound=is_named and not size.outside)


def _refuse_lookalikes(body: Mapping[str, Any], fields: OutputFields) -> None:
    """Raise InvalidRequest if the body has a key that differs only in case from a key that is read here.

    Some JSON readers, such as Go's, ignore case. So the server of the model may use the value of that key, which this
    service ignores.
    """
    read = _keys(fields)
    for key in body:
        name = read.get(key.casefold())
        if name is not None and key != name:
            raise unreadable(f"Write {name} as it is written here: a server may take {visible(key)} for it.", name)


@lru_cache
def _keys(fields: OutputFields) -> dict[str, str]:
    """Return the top-level keys that are read from a request, by their case-folded form."""
    return {
        key.casefold(): key
        for key in ("model", *(path.partition(".")[0] for path in (*fields.maxima, *fields.choices)))
    }


def provider_of(form: Form, model: str) -> str | None:
    """Return the provider of a form.

    Return None if the name of the model in the body contains the provider, as in `deepseek/deepseek-chat`.
    """
    is_written_with_one = bool(spelled(model, None)[0]) and "model" not in form.path.groupindex
    return None if is_written_with_one or not form.provider else form.provider


def model_name(given: object) -> str:
    """Return the name of a model. Raises InvalidRequest if the name is not valid."""
    if not isinstance(given, str) or not given.strip():
        raise unreadable(NO_MODEL, "model")
    named = given.strip()
    if len(named) > MAX_NAME or has_control(named):
        raise unreadable(f"Give model 1 to {MAX_NAME} visible characters.", "model")
    return named
