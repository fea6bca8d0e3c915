"""Says how this service is installed (as a Git checkout or from a wheel), and where its folders are."""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that contains `app.py`: the checkout, or site-packages."""
IS_INSTALLED = any(ROOT.glob("model_limits-*.dist-info"))
"""Whether this service was installed from a wheel. Then the metadata of the wheel is next to the modules."""
PROGRAM = "model-limits" if IS_INSTALLED else "flask governance"
"""The text with which each command of this service begins. Messages contain it."""
START = f"{PROGRAM} serve" if IS_INSTALLED else "make run"
"""The command that starts the service. Messages contain it."""


def state_folder(environ: Mapping[str, str]) -> str:
    """Return the instance folder of an installed service: `${XDG_STATE_HOME:-~/.local/state}/model-limits`.

    As the XDG Base Directory Specification says, XDG_STATE_HOME is ignored if it is not an absolute path. Raises
    ValueError if HOME is needed and is not an absolute path.
    """
    state, home = Path(environ.get("XDG_STATE_HOME", "")), Path(environ.get("HOME", ""))
    if not state.is_absolute():
        state = home / ".local/state"
    if not state.is_absolute():
        raise ValueError("a folder for the database: HOME is no absolute path, so there is no default")
    return str(state / "model-limits")


def absolute(path: str) -> Path:
    """Convert a path in a setting to an absolute path.

    In a checkout, a relative path starts at the root of the checkout. In an installed service, it starts at the working
    directory.
    """
    return Path(path).absolute() if IS_INSTALLED else ROOT / path
