"""`bin/governance` runs the commands from any folder, even through a link."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_commands import ROOT


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Return a link to the script, in a folder with a space in its name."""
    link = tmp_path / "my bin" / "governance"
    link.parent.mkdir()
    link.symlink_to(ROOT / "bin/governance")
    return link


@pytest.mark.parametrize("through_link", [False, True])
def test_commands_run_from_any_folder(linked, through_link, api, settings, tmp_path):
    api.create("gpt-4o")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "GOVERNANCE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    shown = subprocess.run(
        [linked if through_link else ROOT / "bin/governance", "export", "limits.json"],
        cwd=tmp_path / "my bin",
        env=environ | {"GOVERNANCE_INSTANCE": settings.instance, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    assert "gpt-4o" in (tmp_path / "my bin/limits.json").read_text()
