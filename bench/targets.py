"""Targets of the benchmark, and whether a run has met them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

HEAD = ("target", "wanted", "measured", "")


class Target(NamedTuple):
    """A measured figure and its bound.

    The figure must be at most `bound`. If `least` is true, the figure must be at least `bound`.
    """

    what: str
    measured: float
    bound: float
    least: bool = False
    unit: str = "×"

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Return the target from a mapping that `_asdict` returned."""
        return cls(**found)

    @property
    def met(self) -> bool:
        """Whether the figure is within its bound."""
        return self.measured >= self.bound if self.least else self.measured <= self.bound

    @property
    def verdict(self) -> str:
        """Return `met`, or text that says by how much the figure misses its bound.

        The text contains a percentage of the bound, or a multiple if the figure is at least twice the bound. If the
        bound is 0, the text contains the figure itself.
        """
        if self.met:
            return "met"
        short = abs(self.measured - self.bound)
        if not self.bound:
            return f"**missed** by {_shown(short, self.unit)}"
        share = short / self.bound
        return (
            f"**missed** by {share:.0%}" if share < 1 else f"**missed**: {self.measured / self.bound:,.1f} times that"
        )

    def row(self) -> list[str]:
        """Return the target as a row of the table whose columns are `HEAD`."""
        sign = "≥" if self.least else "≤"
        return [self.what, f"{sign} {self.bound:,g} {self.unit}", _shown(self.measured, self.unit), self.verdict]


def worst(what: str, by_size: Mapping[int, float], bound: float, *, least: bool = False, unit: str = "×") -> Target:
    """Return one target for all numbers of limits. Its figure is the worst figure of `by_size`."""
    size = (min if least else max)(by_size, key=lambda size: by_size[size])
    where = f" (worst: at {size:,})" if len(by_size) > 1 else ""
    return Target(what + where, by_size[size], bound, least, unit)


def _shown(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2  # noqa: PLR2004
    return f"{value:,.{digits}f} {unit}"
