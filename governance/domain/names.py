"""Names as people type them, and the one canonical form in which they are stored, searched and matched."""

import unicodedata
from typing import NamedTuple

MAX_NAME = 255
ALL_MODELS = "*"


def fold(text: str) -> str:
    """Text with case taken out by Unicode (NFC + casefold): computed by us, since databases disagree."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def has_control(text: str) -> bool:
    """Whether a control character (category Cc) hides in the text."""
    return not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text)


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


class Identity(NamedTuple):
    """What makes two model limits the same one. No part is ever null: the empty string is none."""

    scope: str
    scope_id: str
    provider: str
    model: str

    @classmethod
    def of(cls, scope: str, scope_id: str | None, provider: str | None, model: str) -> "Identity":
        """The identity of a limit on these, in canonical form."""
        return cls(scope, scope_id or "", canonical_provider(provider), canonical_model(model, provider))
