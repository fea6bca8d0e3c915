"""What the endpoints act with."""

from dataclasses import dataclass
from typing import cast

from flask import current_app, request

from governance.memory.cache import SnapshotCache
from governance.memory.poller import Poller
from governance.services.api_keys import ApiKeys
from governance.services.audit import Audit
from governance.services.authentication import Authentication
from governance.services.bifrost_import import BifrostImport
from governance.services.doctor import Doctor
from governance.services.files import Files
from governance.services.growth import Growth
from governance.services.health import HealthCheck
from governance.services.metering import Metering
from governance.services.model_limits import ModelLimits
from governance.services.overview import Overview
from governance.services.reservations import Reservations
from governance.services.shared_counts import SharedCounts
from governance.services.sync import Sync
from governance.services.upkeep import Upkeep
from governance.services.uploads import Uploads
from governance.services.users import Users
from governance.services.verification import Verification
from governance.services.virtual_keys import VirtualKeys
from governance.settings import Settings
from governance.storage.database import Database
from governance.storage.group_commit import GroupCommit
from governance.web.flask_app import Request
from governance.web.refusals import RefusalLog

EXTENSION = "governance"


@dataclass(frozen=True)
class Governance:
    """The assembled service of one app."""

    settings: Settings
    cache: SnapshotCache
    poller: Poller
    watch: Poller
    pruner: Poller
    upkeep: Upkeep
    authentication: Authentication
    model_limits: ModelLimits
    virtual_keys: VirtualKeys
    users: Users
    api_keys: ApiKeys
    metering: Metering
    reservations: Reservations
    verification: Verification
    audit: Audit
    bifrost_import: BifrostImport
    group: GroupCommit
    database: Database
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
        """End the threads and close the files; what only this worker knows is written down first."""
        self.upkeep.stop()
        self.pruner.stop()
        self.watch.stop()
        self.poller.stop()
        self.group.stop()
        self.database.engine.dispose()


def the_request() -> Request:
    """The current request itself: `flask.request` looks it up for each of its attributes."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]


def governance() -> Governance:
    """The service of the current app."""
    return cast("Governance", current_app.extensions[EXTENSION])
