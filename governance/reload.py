"""SIGHUP: the file of GOVERNANCE_CONFIG is applied anew while the service runs, in a process of its own.

The workers are forked from gunicorn's master, so the master keeps nothing of it in memory, and whatever fails in that
process leaves the service as it is. `python -m governance.reload` is that process: it prints, as a list in JSON, what
`/readyz` shall warn of.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from governance.container import Container
from governance.domain.errors import GovernanceError
from governance.services.config.sync import NOT_WRITTEN
from governance.settings import ROOT, Settings
from governance.startup import service_of

logger = logging.getLogger("governance.reload")

LONGEST = 120
"""Seconds after which the file is given up."""


def apply_config_anew(settings: Settings) -> list[str]:
    """Apply the file of GOVERNANCE_CONFIG in another process; what `/readyz` shall warn of. Never raises."""
    path = settings.config_path
    if path is None:
        return []
    command = [sys.executable, "-m", "governance.reload"]
    try:
        ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=LONGEST, check=True)  # noqa: S603 - this very interpreter
        return list(json.loads(ran.stdout))
    except (OSError, ValueError, subprocess.SubprocessError):
        logger.exception("%s was NOT applied", path.name)
        return [NOT_WRITTEN.format(path.name)]


def main() -> None:
    """Apply the file, where the database is there and of this code's schema; print what to warn of."""
    from app import create_app  # noqa: PLC0415 - gunicorn's master imports this module, and needs no app for it

    settings = Settings.from_environ(os.environ)
    with service_of(create_app(settings)) as governance:
        sys.stdout.write(json.dumps([] if settings.config_path is None else _applied(governance, settings.config_path)))


def _applied(governance: Container, path: Path) -> list[str]:
    try:
        governance.health.refuse_unready()
    except GovernanceError as error:
        logger.error("%s was NOT applied: %s", path.name, error.message)  # noqa: TRY400 - the sentence says it all
        return [NOT_WRITTEN.format(path.name)]
    return governance.sync.at_reload(path)


if __name__ == "__main__":
    main()
