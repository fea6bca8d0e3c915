"""The numbers of tokens that a call to a model may use, as far as its request says so."""

from typing import NamedTuple

from governance.domain.errors import Code, InvalidRequest
from governance.domain.pricing.tokens import MAX_TOKENS


class HoldSizes(NamedTuple):
    """The numbers of tokens to reserve where a request does not say how many tokens it may use.

    `outside_input` is reserved for each input that is not text in the request, for example an image, a file or an
    earlier answer. `output` is reserved if the request sets no maximum of output tokens.
    """

    outside_input: int
    output: int


class ModelCall(NamedTuple):
    """A call to a model.

    If `is_bound` is true, the token counts are upper bounds. Otherwise some of them are assumed.
    """

    model: str
    provider: str | None
    input_tokens: int
    output_tokens: int
    is_bound: bool


def unreadable(message: str, param: str | None = None) -> InvalidRequest:
    """Build the error for a request to a model, if the request cannot be read or can be read in two ways."""
    return InvalidRequest(message, param=param, code=Code.INVALID_BODY)


def whole(name: str, value: object) -> int:
    """Return a number of tokens or of choices (answers to one prompt).

    Return 0 if it is missing. Raises InvalidRequest.
    """
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TOKENS:
        raise unreadable(f"Give {name} as a whole number from 0 to {MAX_TOKENS}.", name)
    return value
