"""The length of a campaign and the seed of its random choices. Both can be set, and both are in its report.

`PROOF_SECONDS` is the time of all campaigns together. `PROOF_SEED` repeats the random choices of an earlier run. The
effects of threads, kernels and kills are still different each time.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

SECONDS = float(os.environ.get("PROOF_SECONDS", "300"))
SEED = int(os.environ.get("PROOF_SEED") or random.SystemRandom().randrange(2**32))


@dataclass
class Campaign:
    """One campaign. `figures` has the numbers of its acts."""

    name: str
    share: float
    figures: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=monotonic)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{SEED} {self.name}")

    def goes_on(self) -> bool:
        """Return whether some of its time is left."""
        return monotonic() - self.began < self.share * SECONDS

    def end(self) -> None:
        """Note the time of its end."""
        self.ended = monotonic()

    def told(self) -> str:
        """Return its figures in one line."""
        figures = ", ".join(f"{number:,} {what}" for what, number in self.figures.items())
        return f"{self.name}: {figures} in {self.ended - self.began:.0f} s (PROOF_SEED={SEED})"
