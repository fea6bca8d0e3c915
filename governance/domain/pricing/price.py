"""The price of a model, and the cost of a call at that price.

All amounts are exact decimals. Only the sum is rounded.
"""

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from governance.domain.limits import money
from governance.domain.pricing.tokens import TokenCounts

MAX_RATE = 1_000_000
"""The largest rate: a million dollars per million tokens, or per call."""
DECIMALS = 12
"""The rate of an override may have at most this many decimals. An override is a price stored in the database.

Some rates of the price list have 17 decimals. `money.UP` computes with 40 digits. So every product and every sum is
exact for rates of up to 18 decimals and up to `MAX_RATE`, and for up to `MAX_TOKENS` tokens.
"""


class Rates(NamedTuple):
    """Dollars per million tokens, by kind of token. None means that the kind has no rate of its own."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None


class Tier(NamedTuple):
    """The rates that apply to a call with more than `above` input tokens.

    These rates apply to all tokens of the call. If the tier has no rate for a kind of token, the rate of the price
    without tiers applies.
    """

    above: int
    rates: Rates


class Price(NamedTuple):
    """The rates of a model.

    `request` is the price of one call in dollars. `tiers` are in ascending order of `above`.
    """

    rates: Rates = Rates()
    request: Decimal | None = None
    tiers: tuple[Tier, ...] = ()

    def rates_at(self, input_tokens: int) -> Rates:
        """Return the rates that apply to a call with this many input tokens."""
        rates = self.rates
        for tier in self.tiers:
            if input_tokens > tier.above:
                pairs = zip(tier.rates, self.rates, strict=True)
                rates = Rates._make(base if own is None else own for own, base in pairs)
        return rates

    def cost(self, tokens: TokenCounts, requests: int = 1) -> int | None:
        """Return the cost of calls with these tokens in nano-dollars.

        Only the sum is rounded up. Some tokens are a part of the input or output, for example cached tokens or audio
        tokens. If the price has no rate for such a part, the rate of the input or output applies to the part. Return
        None if the price is unknown. A price without an input rate is unknown, not free. If there is output, a price
        without an output rate is unknown too (docs/contract.md §9).
        """
        rates = self.rates_at(tokens.input) if self.tiers else self.rates
        whole_input, whole_output = rates.input, rates.output
        if whole_input is None or (whole_output is None and tokens.output):
            return None
        millionths = money.UP.multiply(whole_input, tokens.plain_input)
        if tokens.output and whole_output is not None:
            millionths = money.UP.fma(whole_output, tokens.plain_output, millionths)
            if tokens.output_audio:
                millionths = money.UP.fma(_own(rates.output_audio, whole_output), tokens.output_audio, millionths)
        if tokens.plain_input != tokens.input:
            for rate, count in zip(rates[2:6], tokens[1:5], strict=True):
                millionths = money.UP.fma(_own(rate, whole_input), count, millionths)
        nanos = money.UP.scaleb(millionths, 3)
        if self.request is not None:
            nanos = money.UP.fma(money.UP.scaleb(self.request, 9), requests, nanos)
        return int(nanos.to_integral_value(ROUND_CEILING))


def _own(rate: Decimal | None, whole: Decimal) -> Decimal:
    return whole if rate is None else rate
