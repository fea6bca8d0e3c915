"""The container: one object with all services of an app, for the HTTP endpoints and the commands."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from governance.services.audit import Audit
from governance.services.bifrost.importer import BifrostImport
from governance.services.config.files import Files
from governance.services.config.sync import Sync
from governance.services.config.uploads import Uploads
from governance.services.gateways.proxied_calls import ProxiedCalls
from governance.services.history.history import History
from governance.services.history.limit_windows import LimitWindows
from governance.services.history.what_if import WhatIfs
from governance.services.keys.api_keys import ApiKeys
from governance.services.keys.authentication import Authentication
from governance.services.keys.sessions import Sessions
from governance.services.keys.sign_in_attempts import SignInAttempts
from governance.services.keys.users import Users
from governance.services.keys.virtual_keys import VirtualKeys
from governance.services.limits.model_limits import ModelLimits
from governance.services.metering.metering import Metering
from governance.services.metering.overview import Overview
from governance.services.metering.own_limits import OwnLimits
from governance.services.metering.reservations import Reservations
from governance.services.operations.database_file import DatabaseFile
from governance.services.operations.database_growth import Growth
from governance.services.operations.doctor import Doctor
from governance.services.operations.health import HealthCheck
from governance.services.operations.refusal_log import RefusalLog
from governance.services.operations.retention import Retention
from governance.services.operations.shared_counts import SharedCounts
from governance.services.operations.verification import Verification
from governance.services.pricing.price_list import PriceList
from governance.services.pricing.prices import Prices
from governance.settings import Settings
from governance.snapshot.cache import SnapshotCache
from governance.snapshot.poller import Poller
from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.sqlite.writer.group_commit import GroupCommit

EXTENSION = "governance"
"""The key under which `app.extensions` contains the container."""


@dataclass(frozen=True)
class Container:
    """All services, and the objects that are needed to start and to stop a worker process."""

    settings: Settings
    cache: SnapshotCache
    poller: Poller
    watch: Poller
    pruner: Poller
    retention: Retention
    authentication: Authentication
    model_limits: ModelLimits
    own_limits: OwnLimits
    virtual_keys: VirtualKeys
    users: Users
    api_keys: ApiKeys
    sessions: Sessions
    sign_in_attempts: SignInAttempts
    prices: Prices
    price_list: PriceList
    metering: Metering
    reservations: Reservations
    proxied_calls: ProxiedCalls
    history: History
    limit_windows: LimitWindows
    what_ifs: WhatIfs
    verification: Verification
    audit: Audit
    bifrost_import: BifrostImport
    group: GroupCommit
    database: SqliteDatabase
    database_file: DatabaseFile
    health: HealthCheck
    overview: Overview
    doctor: Doctor
    files: Files
    sync: Sync
    uploads: Uploads
    refusals: RefusalLog
    counts: SharedCounts
    growth: Growth

    def close(self) -> None:
        """Store the data that exists only in the memory of this process, stop the threads, and close the files."""
        self.retention.stop()
        self.pruner.stop()
        self.watch.stop()
        self.poller.stop()
        self.group.stop()
        self.database.close()


def governance() -> Container:
    """Return the container of the current app."""
    return cast("Container", current_app.extensions[EXTENSION])
