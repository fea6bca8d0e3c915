"""Names as people type them, and the one canonical form in which they are stored, searched and matched."""

import json
import re
import unicodedata
from typing import NamedTuple

MAX_NAME = 255
ALL_MODELS = "*"

CONTROL = r"[\x00-\x1f\x7f-\x9f]"
HIDDEN = (
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    r"\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    r"|(?<=[!-~])[\ufe00-\ufe0f\U000e0100-\U000e01ef](?!\u20e3)"
)
"""Bidirectional marks, zero-width characters and tags, as Unicode's Default_Ignorable_Code_Point has them.

Variation selectors are letters' and emoji's own; behind an ASCII character they change nothing that can be seen.
"""

_hidden = re.compile(HIDDEN)
_unseen = re.compile(rf"{CONTROL}|[\u2028\u2029]|{HIDDEN}")


def fold(text: str) -> str:
    """Text with case taken out by Unicode (NFC + casefold): computed by us, since databases disagree."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def has_control(text: str) -> bool:
    """Whether a control character (category Cc) hides in the text."""
    return not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text)


def hidden_in(text: str) -> str | None:
    """The first character that cannot be seen, as `U+200B`; None where there is none.

    With one in it, a second name would look like the first and match other calls.
    """
    found = None if text.isascii() else _hidden.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def visible(text: str) -> str:
    """Text for a terminal or a log: control characters, line ends and what cannot be seen as JSON's escapes."""
    if text.isascii() and text.isprintable():
        return text
    return _unseen.sub(lambda found: json.dumps(found[0])[1:-1], text)


def canonical_provider(provider: str | None) -> str:
    """A provider as it is matched; none is the empty string."""
    return fold((provider or "").strip())


def canonical_model(model: str, provider: str | None) -> str:
    """A model as it is matched: a prefix equal to its own provider does not count.

    `openai/GPT-4o` with provider `openai` is `gpt-4o`.
    """
    name, prefix = fold(model.strip()), canonical_provider(provider) + "/"
    own = prefix != "/" and name.startswith(prefix)
    return (name[len(prefix) :].strip() or name) if own else name


def bare_model(model: str, provider: str | None) -> str:
    """A model as it is matched, without any prefix equal to its own provider, however often that stands there."""
    name = canonical_model(model, provider)
    while (shorter := canonical_model(name, provider)) != name:
        name = shorter
    return name


def spelled(model: str, provider: str | None) -> tuple[str, str]:
    """Provider and bare model of a call; `p/model` without a provider names its provider itself."""
    named, name = canonical_provider(provider), bare_model(model, provider)
    head, slash, rest = name.partition("/")
    if not named and slash and head.strip() and rest.strip():
        return head.strip(), bare_model(rest, head)
    return named, name


def spellings(provider: str, bare: str) -> tuple[str, str, str]:
    """The match names under which a limit on a model of a provider may be stored, both in canonical form.

    A model's own name may begin with its provider, as `groq/compound` of groq does; written out in full that one
    is `groq/groq/compound`.
    """
    return bare, f"{provider}/{bare}", f"{provider}/{provider}/{bare}"


class Identity(NamedTuple):
    """What makes two model limits the same one. No part is ever null: the empty string is none."""

    scope: str
    scope_id: str
    provider: str
    model: str

    @classmethod
    def of(cls, scope: str, scope_id: str | None, provider: str | None, model_name: str) -> "Identity":
        """The identity of a limit on these, in canonical form."""
        return cls(scope, scope_id or "", canonical_provider(provider), canonical_model(model_name, provider))
