"""The tokens of one call: its input, its output, and the parts of both that may have a different price."""

from typing import NamedTuple

MAX_TOKENS = 10**12
"""One call may have at most this many tokens (docs/contract.md §1)."""


class TokenCounts(NamedTuple):
    """The tokens of one call.

    `input` and `output` are the totals. The other counts are parts of the totals. The parts of the input do not
    overlap, and the parts of the output do not overlap. A token that is in no part is plain. Reasoning tokens count as
    plain output. The provider caches the tokens of `cache_write` for five minutes, and those of `cache_write_1h` for an
    hour.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    output: int = 0
    output_audio: int = 0

    @property
    def total(self) -> int:
        """The number of tokens that a limit on tokens counts."""
        return self.input + self.output

    @property
    def plain_input(self) -> int:
        """The input that is in none of the parts. It is negative if the parts exceed the total."""
        return self.input - self.cached_input - self.cache_write - self.cache_write_1h - self.input_audio

    @property
    def plain_output(self) -> int:
        """The output that is in none of the parts. It is negative if the parts exceed the total."""
        return self.output - self.output_audio
