"""Converts names of models and providers to a canonical form for comparison, and finds invisible characters."""

import json
import re
import unicodedata
from typing import NamedTuple

MAX_NAME = 255
ALL_MODELS = "*"

CONTROL = r"[\x00-\x1f\x7f-\x9f]"
SELECTORS = r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
HIDDEN = (
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    r"\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    rf"|(?<=[!-~]){SELECTORS}(?!\u20e3)"
)
"""A regular expression for invisible characters.

These are Unicode's Default_Ignorable_Code_Point (bidirectional marks, zero-width characters, tags). A variation
selector is matched only after an ASCII character, where it has no visible effect. After other characters, it is part of
some letters and emoji.
"""

_hidden = re.compile(HIDDEN)
_unseen = re.compile(rf"(?:{CONTROL}|[\u2028\u2029]|{HIDDEN}){SELECTORS}*")
"""A regular expression for the characters that `visible` escapes.

A variation selector after such a character is escaped too. Otherwise it would follow the ASCII text of the escape.
"""


def fold(text: str) -> str:
    """Return the text case-folded (NFC + casefold).

    The service folds case itself, because databases do it in different ways.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def has_control(text: str) -> bool:
    """Return whether the text contains a control character (category Cc)."""
    return not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text)


def hidden_in(text: str) -> str | None:
    """Return the first invisible character of a text, for example as `U+200B`.

    Return None if the text has no invisible character. Two names that differ only in an invisible character look the
    same, but match different calls.
    """
    match = None if text.isascii() else _hidden.search(text)
    return f"U+{ord(match[0]):04X}" if match else None


def visible(text: str) -> str:
    """Escape text for a terminal or a log.

    Control characters, line ends and invisible characters become JSON escapes.
    """
    if text.isascii() and text.isprintable():
        return text
    return _unseen.sub(lambda match: json.dumps(match[0])[1:-1], text)


def canonical_provider(provider: str | None) -> str:
    """Return a provider in canonical form, in which providers are compared. Return '' if there is no provider."""
    return fold((provider or "").strip())


def canonical_model(model: str, provider: str | None) -> str:
    """Return a model in canonical form, in which models are compared.

    A prefix that equals the provider is removed. `openai/GPT-4o` with provider `openai` is `gpt-4o`.
    """
    name, prefix = fold(model.strip()), canonical_provider(provider) + "/"
    own = prefix != "/" and name.startswith(prefix)
    return (name[len(prefix) :].strip() or name) if own else name


def bare_model(model: str, provider: str | None) -> str:
    """Return a model in canonical form. A prefix that equals the provider is removed, even if it is repeated."""
    name = canonical_model(model, provider)
    while (shorter := canonical_model(name, provider)) != name:
        name = shorter
    return name


def spelled(model: str, provider: str | None) -> tuple[str, str]:
    """Return the provider of a call, and its model without the provider's prefix, both in canonical form.

    If the call names no provider, the provider of the model `p/model` is `p`.
    """
    named, name = canonical_provider(provider), bare_model(model, provider)
    head, slash, rest = name.partition("/")
    if not named and slash and head.strip() and rest.strip():
        return head.strip(), bare_model(rest, head)
    return named, name


def spellings(provider: str, bare: str) -> tuple[str, str, str]:
    """Return the names under which a limit on a provider's model may be stored.

    Both arguments are in canonical form. The third name is needed because a model's own name may begin with the name of
    its provider. For example, the provider groq has a model `groq/compound`, whose full name is `groq/groq/compound`.
    """
    return bare, f"{provider}/{bare}", f"{provider}/{provider}/{bare}"


class Identity(NamedTuple):
    """The fields that together identify a model limit. No two limits have the same identity. A missing field is ''."""

    scope: str
    scope_id: str
    provider: str
    model: str

    @classmethod
    def of(cls, scope: str, scope_id: str | None, provider: str | None, model_name: str) -> "Identity":
        """Build the identity of a limit from these fields, in canonical form."""
        return cls(scope, scope_id or "", canonical_provider(provider), canonical_model(model_name, provider))
