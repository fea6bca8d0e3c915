"""The limits of one virtual key, for the holder of the key."""

from governance.domain.keys import VirtualKey
from governance.domain.limits.limit import OwnRule, Scope, current
from governance.domain.times import Clock
from governance.services.metering.key_holders import usable_key
from governance.storage.limits import states, writes
from governance.storage.store import Database


class OwnLimits:
    """Returns the limits whose scope is a virtual key. The caller must send the key's value."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, secret: str) -> tuple[VirtualKey, list[OwnRule]]:
        """Return the virtual key with this value, and the rules of its own limits.

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
