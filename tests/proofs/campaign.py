"""How long a campaign runs and which chance it follows: both can be set, and both are told with what it did.

`PROOF_SECONDS` is the time of all campaigns together. `PROOF_SEED` repeats the draws of an earlier run; what threads,
kernels and kills make of them is new each time.
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
    """One campaign: `figures` count what it did."""

    name: str
    share: float
    figures: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=monotonic)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{SEED} {self.name}")

    def goes_on(self) -> bool:
        """Whether some of its time is left."""
        return monotonic() - self.began < self.share * SECONDS

    def end(self) -> None:
        """Note when it ended."""
        self.ended = monotonic()

    def told(self) -> str:
        """Its figures in one line."""
        figures = ", ".join(f"{number:,} {what}" for what, number in self.figures.items())
        return f"{self.name}: {figures} in {self.ended - self.began:.0f} s (PROOF_SEED={SEED})"
