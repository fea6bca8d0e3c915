"""Creates the Flask app for gunicorn and the `flask` command. Its settings come from environment variables."""

import os
import sys

from app import create_app
from governance.domain.errors import NotReady
from governance.settings import Settings

try:
    app = create_app(Settings.from_environ(os.environ))
except NotReady as error:
    sys.exit(error.message)
