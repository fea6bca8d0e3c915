"""How gunicorn serves this: threads in a few processes, and what is done once before they start."""

import os
import signal
import sys

# prometheus_client would map sparse files of that folder into memory, and be killed where the disk is full; it reads
# this when it is imported. See governance/services/operations/shared_counts.py.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from governance.container import EXTENSION
from governance.domain.errors import NotReady
from governance.greeting import greeting, tell
from governance.network_exposure import exposure
from governance.reload import apply_config_anew
from governance.services.operations.shared_counts import fold, make_folder, remove_folder
from governance.settings import Settings
from governance.startup import allow_files, apply_config, check_address, found, freest_core, make_ready, tune
from governance.storage.sqlite.files.service_lock import ServiceLock
from governance.web.http.logs import gunicorn_config
from governance.web.worker.early_errors import RefusalRenderer
from governance.web.worker.loop import OTHER_FILES
from governance.web.worker.waits import Timeouts


def leave_nothing_behind():
    """Give the database up, with a note that all ended well; remove the folder of the metrics."""
    if found.database_lock:
        found.database_lock.end()
    if found.metrics_folder:
        remove_folder(found.metrics_folder)


def stop(error):
    """Stop the start with one line, and leave nothing behind."""
    leave_nothing_behind()
    sys.exit(error.message)


try:
    settings = Settings.from_environ(os.environ, strict=True)
except NotReady as error:
    stop(error)

bind = settings.netloc
workers = settings.workers
worker_connections = 1000
threads = settings.threads
worker_class = "governance.web.worker.worker.Worker"
forwarder_headers = ""  # nobody's SCRIPT_NAME or PATH_INFO is believed
sendfile = False  # answers are sent without waiting
timeout = 60
graceful_timeout = 30
control_socket_disable = True
loglevel = "warning"
logconfig_dict = gunicorn_config(settings.log_format)


def on_starting(_server):
    """Migrate, mint the first key, apply the file: in the master, once, before any worker is forked."""
    from app import create_app  # noqa: PLC0415 - the app is the workers' own; the master's is gone after this

    signal.signal(
        signal.SIGHUP, found.ask_for_reload
    )  # it would end the start; gunicorn's own handler comes after this
    try:
        if not {"GUNICORN_FD", "LISTEN_FDS"} & set(os.environ):  # else the sockets are handed to us
            check_address(settings)
        found.database_lock = ServiceLock(settings.database_path)
        found.database_lock.begin()
        allow_files(worker_connections + OTHER_FILES)
        app = create_app(settings)
        found.start = make_ready(app, found.database_lock)
        found.config = apply_config(app)
        found.greeting = greeting(app)
        found.metrics_folder = make_folder(settings.instance_path)
    except NotReady as error:
        stop(error)


def when_ready(_server):
    """Say how to begin, and do what SIGHUP asked for meanwhile."""
    tell(settings, found.greeting, exposure(settings))
    if found.reload_asked:
        os.kill(os.getpid(), signal.SIGHUP)


def on_reload(_server):
    """Apply the file anew at SIGHUP; the workers that gunicorn then forks warn of what this found."""
    found.config = apply_config_anew(settings)


def pre_fork(server, worker):
    """Choose the worker's core, while we still know those of all others."""
    worker.core = freest_core(other.core for other in server.WORKERS.values()) if settings.pin_workers == "1" else None


def post_fork(_server, worker):
    """Stay on that core: threads that wander over cores fight for the interpreter lock."""
    if worker.core is not None:
        os.sched_setaffinity(0, {worker.core})


def post_worker_init(worker):
    """Start the poller in the worker: never on import, never in the master."""
    tune()
    service = worker.wsgi.extensions[EXTENSION]
    worker.serve_with(
        Timeouts(settings.header_timeout, settings.body_timeout, settings.send_timeout, settings.idle_timeout),
        RefusalRenderer(service.refusals, service.authentication.is_secret),
    )
    service.health.remember(found.warnings)
    if found.metrics_folder:
        service.counts.share(found.metrics_folder)
    service.poller.start()
    service.watch.start()
    service.pruner.start()


def worker_exit(_server, worker):
    """Write down what only this worker knows."""
    if getattr(worker, "wsgi", None) is not None:  # else it was told to stop before it had loaded anything
        worker.wsgi.extensions[EXTENSION].close()


def child_exit(_server, worker):
    """Keep what a worker that is gone has counted."""
    if found.metrics_folder:
        fold(found.metrics_folder, worker.pid)


def on_exit(_server):
    """Leave nothing behind."""
    leave_nothing_behind()
