"""The price of a model, and what a call costs by it. All amounts are exact decimals; only the sum is rounded, once."""

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from governance.domain.limits import money
from governance.domain.pricing.tokens import TokenCounts


class Tier(NamedTuple):
    """The rate of a call whose input has more than `above` tokens. It applies to all tokens of the call."""

    above: int
    rate: Decimal


class Rate(NamedTuple):
    """Dollars per million tokens of one kind. `tiers` are in ascending order of `above`."""

    base: Decimal
    tiers: tuple[Tier, ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """Return the rate of a call with this many input tokens."""
        reached = [tier.rate for tier in self.tiers if input_tokens > tier.above]
        return reached[-1] if reached else self.base


class Price(NamedTuple):
    """The rates of a model by kind of token; None if the kind has no rate of its own. `request` is dollars per call."""

    input: Rate | None = None
    output: Rate | None = None
    cached_input: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    input_audio: Rate | None = None
    output_audio: Rate | None = None
    request: Decimal | None = None

    def cost(self, tokens: TokenCounts) -> int | None:
        """Return the cost of a call in nano-dollars, rounded up once; None if the price cannot tell it.

        A part without a rate of its own costs what its whole costs. A price without an input rate is unknown, not
        free, and so is one without an output rate if the call has output (docs/contract.md).
        """
        if self.input is None or (self.output is None and tokens.output):
            return None
        output = self.output or self.input
        counts = (
            (tokens.plain_input, self.input),
            (tokens.cached_input, self.cached_input or self.input),
            (tokens.cache_write, self.cache_write or self.input),
            (tokens.cache_write_1h, self.cache_write_1h or self.input),
            (tokens.input_audio, self.input_audio or self.input),
            (tokens.plain_output, output),
            (tokens.output_audio, self.output_audio or output),
        )
        millionths = Decimal(0)
        for count, rate in counts:
            if count:
                millionths = money.UP.fma(count, rate.at(tokens.input), millionths)
        dollars = money.UP.add(millionths.scaleb(-6, money.UP), self.request or Decimal(0))
        return int(dollars.scaleb(9, money.UP).to_integral_value(ROUND_CEILING))
