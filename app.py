"""Creates the Flask app, and connects it with the settings, the database, the services and the endpoints."""

import os
import time

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from governance import cli
from governance.container import EXTENSION, Container
from governance.domain.history.calendar import Calendar
from governance.domain.steady_clock import SteadyClock
from governance.domain.times import DAY, SECOND, Clock
from governance.services.audit import Audit
from governance.services.bifrost.importer import BifrostImport
from governance.services.config.files import Files
from governance.services.config.sync import VALUES_FILE, Sync
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
from governance.services.metering.match_cache import Matcher
from governance.services.metering.metering import Metering
from governance.services.metering.overview import Overview
from governance.services.metering.own_limits import OwnLimits
from governance.services.metering.reservations import Reservations
from governance.services.metering.statistics import Statistics
from governance.services.operations.database_file import DatabaseFile
from governance.services.operations.database_growth import Growth
from governance.services.operations.doctor import Doctor, DoctorSubject
from governance.services.operations.health import HealthCheck
from governance.services.operations.refusal_log import RefusalLog
from governance.services.operations.retention import Retention
from governance.services.operations.shared_counts import SharedCounts
from governance.services.operations.verification import Verification
from governance.services.pricing.price_list import PriceList
from governance.services.pricing.prices import Prices
from governance.services.random_ids import RandomIds
from governance.services.writing import Writer
from governance.settings import Settings
from governance.snapshot.cache import SnapshotCache, Timer
from governance.snapshot.poller import Poller
from governance.snapshot.reader import SnapshotReader
from governance.storage.changes import ChangesLoader
from governance.storage.sqlite.database import SqliteDatabase, engine_options
from governance.storage.sqlite.locks.progress import WriterProgress
from governance.storage.sqlite.retention.slices import Slices
from governance.storage.sqlite.writer.group_commit import GroupCommit
from governance.storage.sqlite.writer.history import HistoryOptions
from governance.storage.tables import metadata
from governance.web import blueprints
from governance.web.http import auth, errors, logs, requests
from governance.web.http.flask_app import MAX_BODY, App
from governance.web.http.paths import CallConverter, IdConverter

db = SQLAlchemy(metadata=metadata)


WATCH_INTERVAL = 1.2
"""The seconds between two checks of the process that holds the database's lock for writers.

If two checks in a row find that process suspended (SIGSTOP), the service resumes it (SIGCONT).
"""


def system_clock() -> int:
    """Return the machine's time in microseconds since 1970."""
    return time.time_ns() // 1000


def create_app(
    settings: Settings, *, clock: Clock = system_clock, timer: Timer | None = None, random_ids: RandomIds | None = None
) -> Flask:
    """Return the service as a Flask app.

    This function starts no thread and writes no file. The gunicorn hooks of `gunicorn.conf.py` do both. `timer` returns
    seconds and never jumps. The service compares `clock` with `timer` to find out whether `clock` has jumped. If
    `clock` is the machine's clock, `timer` defaults to the system's monotonic clock. If `clock` is another clock,
    `timer` defaults to that clock, in seconds.
    """
    app = App(__name__, instance_path=str(settings.instance_path), static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{settings.database_path}",
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_path, settings.busy_timeout, settings.threads + 2),
        MAX_CONTENT_LENGTH=MAX_BODY,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.merge_slashes = False
    app.url_map.converters.update(id=IdConverter, call=CallConverter)
    logs.configure(settings.log_format)
    db.init_app(app)
    service = assemble(app, settings, clock, timer or _timer_of(clock), random_ids or RandomIds())
    app.extensions[EXTENSION] = service
    requests.surround(app, service.cache, clock)
    auth.protect(app)
    errors.handle_errors(app)
    app.cli.add_command(cli.commands)
    blueprints.register(app, with_dashboard=settings.ui == "on")
    return app


def _timer_of(clock: Clock) -> Timer:
    return time.monotonic if clock is system_clock else lambda: clock() / SECOND


def assemble(app: Flask, settings: Settings, clock: Clock, timer: Timer, random_ids: RandomIds) -> Container:
    """Create all services. The function is long because it creates each service after the services that it needs."""
    progress = WriterProgress(settings.threads)
    steady = SteadyClock(clock, timer, settings.poll_interval / 2)
    steady_for_a_minute = SteadyClock(clock, timer, 60)
    with app.app_context():
        database = SqliteDatabase(db.engine, settings.database_path, settings.busy_timeout, progress=progress)
    cache = SnapshotCache(ChangesLoader(database), settings.memory_lifetime, time.monotonic, settings.busy_timeout)
    reader = SnapshotReader(cache, settings.render_cache_mb * 1024 * 1024)
    writer = Writer(database, cache, clock)
    authentication = Authentication(database, cache, clock, settings.admin_key)
    calendar = Calendar(settings.timezone)
    group = GroupCommit(
        settings.database_path,
        settings.busy_timeout,
        clock,
        synchronous=settings.synchronous,
        progress=progress,
        history=HistoryOptions(calendar, settings.history_series),
    )
    price_list = PriceList()
    matcher = Matcher(cache, price_list)
    statistics = Statistics(database, group, cache)
    reservations = Reservations(
        database,
        group,
        steady,
        matcher=matcher,
        statistics=statistics,
        charge_expired=settings.expired_reservations == "charge",
    )
    metering = Metering(
        database,
        group,
        cache,
        steady=steady_for_a_minute,
        random_ids=random_ids,
        statistics=statistics,
        matcher=matcher,
        refuses_unpriced=settings.unknown_price == "refuse",
    )
    files = Files(database, clock, os.environ)
    sync = Sync(database, writer, files, clock, random_ids=random_ids, folder=settings.instance_path)
    refusals = RefusalLog()
    counts = SharedCounts()
    slices = Slices(settings.database_path, settings.busy_timeout)
    retention = Retention(
        slices,
        steady_for_a_minute,
        retention=settings.retention_days * DAY,
        history=settings.history_days * DAY,
        calendar=calendar,
    )
    tasks = (
        steady.look,
        steady_for_a_minute.look,
        reservations.sweep,
        cache.refresh,
        statistics.note_memory,
        statistics.flush,
        authentication.flush,
        refusals.flush,
        counts.publish,
    )
    return Container(
        settings=settings,
        cache=cache,
        poller=Poller(tasks, settings.poll_interval),
        watch=Poller((group.look_after,), WATCH_INTERVAL),
        pruner=Poller([retention.due], settings.poll_interval),
        retention=retention,
        authentication=authentication,
        model_limits=ModelLimits(database, reader, writer, clock, random_ids),
        own_limits=OwnLimits(database, clock),
        virtual_keys=VirtualKeys(database, writer, random_ids),
        users=Users(database, writer, random_ids),
        api_keys=ApiKeys(database, writer, random_ids, authentication.refuse),
        sessions=Sessions(database, clock, random_ids, settings.session_secret),
        sign_in_attempts=SignInAttempts(database, clock),
        prices=Prices(database, writer, price_list, clock, random_ids),
        price_list=price_list,
        metering=metering,
        reservations=reservations,
        proxied_calls=ProxiedCalls(database, clock, metering, reservations),
        history=History(database, calendar, clock),
        limit_windows=LimitWindows(database, clock),
        what_ifs=WhatIfs(database, calendar, clock, random_ids, timer),
        verification=Verification(database, clock, calendar),
        audit=Audit(database),
        bifrost_import=BifrostImport(database, writer, clock, random_ids, settings.busy_timeout),
        group=group,
        database=database,
        database_file=DatabaseFile(settings.database_path, settings.busy_timeout, clock),
        health=HealthCheck(database, cache, clock, group, price_list),
        overview=Overview(database, clock),
        doctor=Doctor(database, clock, subject(settings), price_list),
        files=files,
        sync=sync,
        uploads=Uploads(files, sync),
        refusals=refusals,
        counts=counts,
        growth=Growth(database),
    )


def subject(settings: Settings) -> DoctorSubject:
    """Return the settings that the command `doctor` checks."""
    return DoctorSubject(
        admin_key_file=settings.admin_key_file,
        virtual_keys_file=settings.instance_path / VALUES_FILE,
        admin_key_is_set=settings.admin_key is not None,
        poll_interval=settings.poll_interval,
        memory_lifetime=settings.memory_lifetime,
        busy_timeout=settings.busy_timeout,
    )
