"""What was promised, and whether a run kept it: each target with its bound, what was measured, and by how much."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

HEAD = ("target", "wanted", "measured", "")


class Target(NamedTuple):
    """A figure that shall be at most `bound`, or (where `least`) at least that."""

    what: str
    measured: float
    bound: float
    least: bool = False
    unit: str = "×"

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """The target that `_asdict` wrote down."""
        return cls(**found)

    @property
    def met(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.measured >= self.bound if self.least else self.measured <= self.bound

    @property
    def verdict(self) -> str:
        """Met, or missed by which share of the bound; by many times it, or where that is 0, by how much."""
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
        """The target as a row under `HEAD`."""
        sign = "≥" if self.least else "≤"
        return [self.what, f"{sign} {self.bound:,g} {self.unit}", _shown(self.measured, self.unit), self.verdict]


def worst(what: str, by_size: Mapping[int, float], bound: float, *, least: bool = False, unit: str = "×") -> Target:
    """A target for every size, told at the size that comes nearest to missing it."""
    size = (min if least else max)(by_size, key=lambda size: by_size[size])
    where = f" (worst: at {size:,})" if len(by_size) > 1 else ""
    return Target(what + where, by_size[size], bound, least, unit)


def _shown(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2  # noqa: PLR2004
    return f"{value:,.{digits}f} {unit}"
