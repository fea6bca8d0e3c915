"""The log of refused and failed requests, with one line for each request.

If there are many equal requests without a valid key, they are only counted. Each poll logs the counts in one line.
Without this bound, a client that guesses keys could fill the disk.
"""

import logging
from collections import Counter
from threading import Lock
from typing import Any

logger = logging.getLogger("governance.requests")

EACH = 10
"""The most lines for one address and one code between two polls, for requests without a valid key."""
ALL = 200
"""The most lines for all requests without a valid key between two polls."""
MOST_KINDS = 10_000
"""The most addresses with a count of their own between two polls. All other addresses share one count."""
SERVER_ERROR = 500
Kind = tuple[str, str]
"""(The client's address, the error's code)."""
OTHERS: Kind = ("others", "")


class RefusalLog:
    """Writes the lines. At each poll, logs how many lines were left out."""

    def __init__(self) -> None:
        self._seen: Counter[Kind] = Counter()
        self._left_out: Counter[Kind] = Counter()
        self._lock = Lock()

    def write(self, fields: dict[str, Any]) -> None:
        """Write the line of a caller with a valid key."""
        level = logging.ERROR if fields["status"] == SERVER_ERROR else logging.INFO
        logger.log(level, "refused", extra={"fields": fields})

    def write_stranger(self, fields: dict[str, Any]) -> None:
        """Write the line of a caller without a valid key, unless the bounds are reached."""
        if self._is_wanted((fields.get("forwarded_for") or fields["peer"], fields["code"])):
            self.write(fields)

    def flush(self) -> None:
        """Log how many lines were left out, by address and code. The poller calls this."""
        with self._lock:
            left_out, self._left_out, self._seen = self._left_out, Counter(), Counter()
        told = left_out.most_common(EACH)
        for (address, code), count in told:
            self._sum_up(count, peer=address, code=code)
        rest = left_out.total() - sum(count for _, count in told)
        if rest:
            self._sum_up(rest, addresses=len({address for address, _ in left_out}))

    def _is_wanted(self, kind: Kind) -> bool:
        with self._lock:
            if self._seen[kind] < EACH and self._seen.total() < ALL:
                self._seen[kind] += 1
                return True
            known = kind in self._left_out or len(self._left_out) < MOST_KINDS
            self._left_out[kind if known else OTHERS] += 1
            return False

    def _sum_up(self, count: int, **about: Any) -> None:
        logger.info("refused more", extra={"fields": {"count": count, **about}})
