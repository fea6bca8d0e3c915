"""The log of refused and failed requests: a line each; what strangers repeat is counted, and told in one line a poll.

A stranger has no key that counts. Without a bound, whoever guesses keys fills the disk with lines.
"""

import logging
from collections import Counter
from threading import Lock
from typing import Any

logger = logging.getLogger("governance.requests")

EACH = 10
"""The lines that one address gets for one code between two polls."""
ALL = 200
"""The lines that all strangers together get between two polls."""
MOST_KINDS = 10_000
"""More addresses than these are counted together."""
SERVER_ERROR = 500
Kind = tuple[str, str]
"""(The address that a request came from, the error's code)."""
OTHERS: Kind = ("others", "")


class RefusalLog:
    """Writes the lines; a poll tells how many were left out."""

    def __init__(self) -> None:
        self._seen: Counter[Kind] = Counter()
        self._left_out: Counter[Kind] = Counter()
        self._lock = Lock()

    def write(self, fields: dict[str, Any]) -> None:
        """Write the line of a caller with a key."""
        level = logging.ERROR if fields["status"] == SERVER_ERROR else logging.INFO
        logger.log(level, "refused", extra={"fields": fields})

    def write_stranger(self, fields: dict[str, Any]) -> None:
        """Write the line of a stranger, unless there are many like it."""
        if self._is_wanted((fields.get("forwarded_for") or fields["peer"], fields["code"])):
            self.write(fields)

    def flush(self) -> None:
        """Tell how many lines were left out, by address and code: the poller's task."""
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
