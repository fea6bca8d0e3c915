"""Asks the service in this container: exit code 0 if it answers 200, else 1 with the reason.

Example: python3 healthcheck.py /readyz
"""

import os
import sys
from http.client import HTTPConnection

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - these are read, not bound
SECONDS = 4


def fault(path: str) -> str:
    """Return what is wrong, or '' if the service answers 200."""
    host = os.environ.get("HOST", "127.0.0.1").strip("[]")
    port = int(os.environ.get("PORT", "8080"))
    connection = HTTPConnection(EVERY_ADDRESS.get(host, host), port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return "" if answer.status == 200 else f"{answer.status} {answer.read().decode()}"  # noqa: PLR2004 - HTTP's OK
    except OSError as error:
        return str(error)
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(fault(sys.argv[1] if len(sys.argv) > 1 else "/healthz") or 0)
