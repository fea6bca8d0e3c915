"""The operations on calls: reserve before a call, charge, report usage without a reservation, check without writing."""

from governance.domain.times import Clock
from governance.services.metering.charge import Charge
from governance.services.metering.check import Check
from governance.services.metering.match_cache import Matcher
from governance.services.metering.reserve_and_report import ActContext, Report, Reserve
from governance.services.metering.statistics import Statistics
from governance.services.random_ids import RandomIds
from governance.snapshot.cache import SnapshotCache
from governance.storage.store import Database, MeteringStore


class Metering:
    """The operations that decide about calls and charge calls.

    Each operation accepts a request and returns a `Decision`. If `refuses_unpriced` is true, a call is refused if it
    needs a price, its cost cannot be computed, and a budget applies.
    """

    def __init__(
        self,
        database: Database,
        store: MeteringStore,
        cache: SnapshotCache,
        *,
        steady: Clock,
        random_ids: RandomIds,
        statistics: Statistics,
        matcher: Matcher,
        refuses_unpriced: bool,
    ) -> None:
        context = ActContext(store, cache, matcher, steady, random_ids, statistics, refuses_unpriced)
        self.reserve = Reserve(context)
        self.charge = Charge(context)
        self.report = Report(context)
        self.check = Check(database, store, cache, matcher, refuses_unpriced=refuses_unpriced)
