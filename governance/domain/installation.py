"""Says where the parts of this service are: in a checkout, or installed from a wheel."""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder of `app.py`: a checkout, or site-packages."""
IS_INSTALLED = any(ROOT.glob("model_limits-*.dist-info"))
"""Whether this is an installed wheel: its metadata is next to its modules."""
PROGRAM = "model-limits" if IS_INSTALLED else "flask governance"
"""How a command of this service begins, for messages."""
START = f"{PROGRAM} serve" if IS_INSTALLED else "make run"
"""The command that starts the service, for messages."""


def state_folder(environ: Mapping[str, str]) -> str:
    """Return the instance folder of an installed service: `${XDG_STATE_HOME:-~/.local/state}/model-limits`.

    As the XDG Base Directory Specification says, a path that is not absolute is ignored. Raises ValueError if HOME is
    needed and is no absolute path.
    """
    state, home = Path(environ.get("XDG_STATE_HOME", "")), Path(environ.get("HOME", ""))
    if not state.is_absolute():
        state = home / ".local/state"
    if not state.is_absolute():
        raise ValueError("a folder for the database: HOME is no absolute path, so there is no default")
    return str(state / "model-limits")


def absolute(path: str) -> Path:
    """Return the absolute path of a path in a setting.

    A relative path lies under the root of a checkout. For an installed service, it lies under the working directory.
    """
    return Path(path).absolute() if IS_INSTALLED else ROOT / path
