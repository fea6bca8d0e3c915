"""Gunicorn's configuration: its settings, and the hooks that it calls in the master process and in the workers.

`gunicorn.conf.py` of a checkout and `model-limits serve` both read this module.
"""

import os
import signal
import sys
from typing import Any, NoReturn

# With this variable, prometheus_client would map sparse files into memory, and a full disk would kill the worker.
# prometheus_client reads the variable when it is imported. See governance/services/operations/shared_counts.py.
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


def leave_nothing_behind() -> None:
    """Release the lock on the database, record the clean stop, and remove the folder of the metrics."""
    if found.database_lock:
        found.database_lock.end()
    if found.metrics_folder:
        remove_folder(found.metrics_folder)


def stop(error: NotReady) -> NoReturn:
    """Release everything, and end the process with the error's message."""
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
forwarder_headers = ""  # no request header may set SCRIPT_NAME or PATH_INFO
sendfile = False  # our worker sends responses itself, without blocking
timeout = 60
graceful_timeout = 30
control_socket_disable = True
loglevel = "warning"
logconfig_dict = gunicorn_config(settings.log_format)


def on_starting(_server: Any) -> None:
    """Migrate the database, create the first admin key, and apply the config file.

    The master process does this once, before it forks the workers.
    """
    from app import create_app  # noqa: PLC0415 - each worker makes its own app

    # Without a handler, SIGHUP would kill the process during the start. Gunicorn installs its own handler later.
    signal.signal(signal.SIGHUP, found.ask_for_reload)
    try:
        inherits_sockets = {"GUNICORN_FD", "LISTEN_FDS"} & set(os.environ)
        if not inherits_sockets:
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


def when_ready(_server: Any) -> None:
    """Print the greeting. If SIGHUP arrived during the start, send it again, so that the config file is reloaded."""
    tell(settings, found.greeting, exposure(settings))
    if found.reload_asked:
        os.kill(os.getpid(), signal.SIGHUP)


def on_reload(_server: Any) -> None:
    """Apply the config file again after SIGHUP. The workers that gunicorn forks next report the warnings."""
    found.config = apply_config_anew(settings)


def pre_fork(server: Any, worker: Any) -> None:
    """Choose the CPU core of the new worker. Only the master process knows the cores of all workers."""
    worker.core = freest_core(other.core for other in server.WORKERS.values()) if settings.pin_workers == "1" else None


def post_fork(_server: Any, worker: Any) -> None:
    """Keep the worker on its CPU core, because threads on several cores compete for the interpreter lock."""
    if worker.core is not None:
        os.sched_setaffinity(0, {worker.core})


def post_worker_init(worker: Any) -> None:
    """Start the threads of the worker. They must not start during an import or in the master process."""
    tune()
    service = worker.wsgi.extensions[EXTENSION]
    worker.serve_with(
        Timeouts(settings.header_timeout, settings.body_timeout, settings.send_timeout, settings.idle_timeout),
        RefusalRenderer(service.refusals, service.authentication.is_secret),
    )
    service.health.remember(found.warnings)
    if found.metrics_folder:
        service.counts.share(found.metrics_folder)
    service.price_list.start()
    service.poller.start()
    service.watch.start()
    service.pruner.start()


def worker_exit(_server: Any, worker: Any) -> None:
    """Store the data that exists only in this worker's memory, and end the worker's threads."""
    if getattr(worker, "wsgi", None) is not None:  # a worker that is stopped early has no app
        worker.wsgi.extensions[EXTENSION].close()


def child_exit(_server: Any, worker: Any) -> None:
    """Add the counts of a worker that has ended to the shared counts."""
    if found.metrics_folder:
        fold(found.metrics_folder, worker.pid)


def on_exit(_server: Any) -> None:
    """Release the lock on the database, and remove the folder of the metrics."""
    leave_nothing_behind()
