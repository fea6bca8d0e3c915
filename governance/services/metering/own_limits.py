"""Returns the limits of one virtual key to the holder of the key.

A limit has rules. A rule sets a maximum of dollars, tokens or requests in a time window.
"""

from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import OwnRule, Scope, current
from governance.domain.times import Clock
from governance.services.metering.key_holders import usable_key
from governance.storage.limits import states, writes
from governance.storage.store import Database


class OwnLimits:
    """Reads the limits whose scope is a virtual key. A client must send the secret value of the key."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, secret: str) -> tuple[VirtualKey, list[OwnRule]]:
        """Return the virtual key whose value is `secret`, and the rules of its own limits in their current windows.

        Raises Unauthenticated, Forbidden.
        """
        now = self._clock()
        with self._database.read() as connection:
            key = usable_key(connection, secret, now)
            ids = writes.ids_of_scope(connection, Scope.VIRTUAL_KEY, key.id)
            found = states.by_ids(connection, ids)
        rules = [
            OwnRule(limit.model_name, limit.provider, rule, current(rule, limit.alignment, counter, now))
            for limit, counters, _ in found.values()
            for rule, counter in zip(limit.rules, counters, strict=True)
        ]
        return key, sorted(rules, key=_place)


def _place(own: OwnRule) -> tuple[str, str, bool, int, str]:
    rule = own.rule
    return own.model_name, own.provider or "", rule.metric != "cost", rule.duration.length, rule.metric
