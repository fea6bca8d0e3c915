"""Applies the config file again after SIGHUP, in a separate process.

Gunicorn's master process must not load the file itself, because the workers that it forks would inherit the loaded
data. The separate process runs `python -m governance.reload`. It prints the warnings for `/readyz` as a JSON list. If
the separate process fails, the service keeps its limits.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from governance.container import Container
from governance.domain.errors import GovernanceError
from governance.domain.installation import ROOT
from governance.services.config.sync import NOT_WRITTEN
from governance.settings import Settings
from governance.startup import service_of

logger = logging.getLogger("governance.reload")

LONGEST = 120
"""The separate process is killed if it runs longer than this many seconds."""


def apply_config_anew(settings: Settings) -> list[str]:
    """Apply the config file (GOVERNANCE_CONFIG) in a separate process, and return the warnings for `/readyz`.

    If this fails, the function logs the error and returns a warning. It does not raise an error.
    """
    path = settings.config_path
    if path is None:
        return []
    # With -P, Python does not import another `app.py` from the working directory.
    command = [sys.executable, "-P", "-m", "governance.reload"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    try:
        ran = subprocess.run(command, env=environ, stdout=subprocess.PIPE, timeout=LONGEST, check=True)  # noqa: S603 - runs this interpreter
        return list(json.loads(ran.stdout))
    except (OSError, ValueError, subprocess.SubprocessError):
        logger.exception("%s was NOT applied", path.name)
        return [NOT_WRITTEN.format(path.name)]


def main() -> None:
    """Apply the config file if the database exists and has the schema of this version. Print the warnings."""
    from app import create_app  # noqa: PLC0415 - gunicorn's master imports this module without the app

    settings = Settings.from_environ(os.environ)
    with service_of(create_app(settings)) as governance:
        sys.stdout.write(json.dumps([] if settings.config_path is None else _applied(governance, settings.config_path)))


def _applied(governance: Container, path: Path) -> list[str]:
    try:
        governance.health.refuse_unready()
    except GovernanceError as error:
        logger.error("%s was NOT applied: %s", path.name, error.message)  # noqa: TRY400 - the message is enough
        return [NOT_WRITTEN.format(path.name)]
    return governance.sync.at_reload(path)


if __name__ == "__main__":
    main()
