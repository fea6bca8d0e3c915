"""Computes the mean of the ratios of several rounds, and the 95 % confidence interval of the mean."""

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

Z = NormalDist().inv_cdf(0.975)


class Interval(NamedTuple):
    """A mean ratio, and the two ends of its 95 % confidence interval."""

    ratio: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """The distance from the ratio to the farther end of the interval, divided by the ratio."""
        return max(self.high / self.ratio, self.ratio / self.low) - 1

    def is_worse_than(self, share: float) -> bool:
        """Return whether the whole interval is at or above 1 + `share`."""
        return self.low >= 1 + share


def of_ratios(ratios: Sequence[float]) -> Interval:
    """Return the geometric mean of the ratios of two or more rounds, with its 95 % interval by Student's t."""
    logs = [log(ratio) for ratio in ratios]
    middle = fmean(logs)
    reach = _t(len(logs) - 1) * stdev(logs) / sqrt(len(logs))
    return Interval(exp(middle), exp(middle - reach), exp(middle + reach))


def _t(freedom: int) -> float:
    """Return Student's t for a 95 % confidence interval, approximated by the Cornish-Fisher expansion.

    With 5 or more degrees of freedom the error is below 0.3 %.
    """
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3
