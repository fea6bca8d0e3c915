"""The greeting that the service prints after it has started."""

import logging
import shlex
import sys
from pathlib import Path

from flask import Flask

from governance.container import Container
from governance.domain.errors import GovernanceError
from governance.services.keys import admin_key
from governance.services.keys.admin_key import AdminKey
from governance.settings import Settings
from governance.startup import service_of

logger = logging.getLogger("governance.startup")


def tell(settings: Settings, greeting: str, warning: str) -> None:
    """Write the greeting and a warning (which may be empty) to standard error.

    If the log is JSON, write both as log lines.
    """
    if settings.log_format == "json":
        logger.info("%s", greeting.strip())
        if warning:
            logger.warning("%s", warning)
    else:
        sys.stderr.write(greeting + (f"Warning: {warning}\n" if warning else ""))


def greeting(app: Flask) -> str:
    """Return the greeting: the URL, where the admin key is, and a first command. It never contains the key itself."""
    with service_of(app) as governance:
        settings = governance.settings
        told, shell = _admin_key(governance)
    url = shlex.quote(f"{settings.url}/api/governance/model-configs")
    return (
        f"Model limits on {settings.url}, explained on {settings.url}/docs\n"
        f"{told} Try:\n"
        f'  curl -H "Authorization: Bearer {shell}" {url}\n'
    )


def _admin_key(governance: Container) -> tuple[str, str]:
    """Return a sentence that says where a valid admin key is, and a shell expression whose value is the key."""
    settings = governance.settings
    file = settings.admin_key_file
    if settings.admin_key_from_file is not None:
        return "The admin key is in the file of GOVERNANCE_ADMIN_KEY_FILE.", '$(cat "$GOVERNANCE_ADMIN_KEY_FILE")'
    if settings.admin_key is not None:
        return "The admin key is what you set as GOVERNANCE_ADMIN_KEY.", "$GOVERNANCE_ADMIN_KEY"
    try:
        known = admin_key.find(governance.database, file, governance.group.clock())
    except (GovernanceError, OSError):
        known = AdminKey.WITHOUT_FILE
    if known == AdminKey.IN_FILE:
        shown = _from_here(file)
        return f"The admin key is in {shown}.", f"$(cat {shlex.quote(shown)})"
    sentences = {
        AdminKey.NONE: f"There is no admin key that counts: make one with {admin_key.NEW_KEY}.",
        AdminKey.NOT_IN_FILE: f"The key in {_from_here(file)} was revoked or has expired; another admin key is stored.",
        AdminKey.WITHOUT_FILE: f"The admin key is one that was made earlier ({file.name} is gone from "
        f"{settings.instance}/).",
    }
    return sentences[known], "$YOUR_KEY"


def _from_here(file: Path) -> str:
    """Return the path of a file for a shell command in the working directory.

    If a relative path would begin with a dash, the absolute path is returned, because a command would read a dash as an
    option.
    """
    here = Path.cwd()
    shown = str(file.relative_to(here) if file.is_relative_to(here) else file)
    return str(file) if shown.startswith("-") else shown
