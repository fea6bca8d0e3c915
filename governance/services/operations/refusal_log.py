"""Writes one log line for each refused or failed request.

A client that guesses keys could fill the disk with such lines. So only a limited number of lines is written about
requests without a valid key. All further requests of this kind are only counted. The poller, a thread that runs every
few seconds, logs the counts. A poll is one run of the poller.
"""

import logging
from collections import Counter
from threading import Lock
from typing import Any

logger = logging.getLogger("governance.requests")

EACH = 10
"""The largest number of lines between two polls for one client address and one error code.

It applies to requests without a valid key. `flush` writes one line for each pair of address and code with the most
requests left out, up to this number of pairs, and one line for all other pairs together.
"""
ALL = 200
"""The largest number of lines between two polls for all requests without a valid key."""
MOST_KINDS = 10_000
"""The largest number of pairs of address and error code that are counted separately between two polls.

All other pairs share one count.
"""
SERVER_ERROR = 500
Kind = tuple[str, str]
"""The address of a client, and the code of an error."""
OTHERS: Kind = ("others", "")


class RefusalLog:
    """Writes the lines. At each poll, logs how many lines were left out."""

    def __init__(self) -> None:
        self._seen: Counter[Kind] = Counter()
        self._left_out: Counter[Kind] = Counter()
        self._lock = Lock()

    def write(self, fields: dict[str, Any]) -> None:
        """Write a line about a request with a valid key."""
        level = logging.ERROR if fields["status"] == SERVER_ERROR else logging.INFO
        logger.log(level, "refused", extra={"fields": fields})

    def write_stranger(self, fields: dict[str, Any]) -> None:
        """Write a line about a request without a valid key, unless `EACH` or `ALL` is reached."""
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
