"""The app that gunicorn and the `flask` command load. Its settings come from the environment."""

import os
import sys

from app import create_app
from governance.domain.errors import NotReady
from governance.settings import Settings

try:
    app = create_app(Settings.from_environ(os.environ))
except NotReady as error:
    sys.exit(error.message)
