"""The wheel: its contents, and the command `model-limits` in folders and environments that are not ours."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from governance import __version__, cli
from tests.process.service import OURS, ROOT, Service, until

pytestmark = pytest.mark.deploy

IN_THE_WHEEL = ("app.py", "wsgi.py", "governance", "schemas", "migrations")
FOREIGN = ("app.py", "wsgi.py", "gunicorn.conf.py")
LIMITS = '{"model_configs": [{"model_name": "from-the-file"}]}'


def digests(folder: Path) -> dict[Path, str]:
    """Return the digest of each file in a folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a folder with modules of another project under our names, which end the process that imports them."""
    folder = tmp_path / "another project"
    folder.mkdir()
    for name in FOREIGN:
        (folder / name).write_text(f"raise SystemExit('the other {name} was imported')\n")
    return folder


@pytest.fixture
def run(command: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `model-limits` with some words, in an environment without our variables."""

    def done(*words: str | Path, cwd: Path = tmp_path, **environ: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.run(
            [command, *words],
            cwd=cwd,
            env=inherited | {"HOME": str(tmp_path / "home")} | environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return done


def test_wheel_holds_every_file_of_the_service_and_no_other(wheel: Path):
    listed = subprocess.run(["git", "ls-files", *IN_THE_WHEEL], cwd=ROOT, capture_output=True, text=True, check=True)
    with ZipFile(wheel) as archive:
        held = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert sorted(held) == sorted(listed.stdout.splitlines())


def test_version_is_that_of_the_package(run):
    assert run("--version").stdout == f"model limits, version {__version__}\n"


def test_every_command_of_flask_governance_is_there(run):
    shown = run("--help").stdout.partition("Commands:\n")[2]
    names = [line.split()[0] for line in shown.splitlines()]
    assert names == sorted([*cli.commands.commands, "serve"])


def test_service_runs_beside_modules_of_the_same_names(installed, run, foreign, environment, tmp_path):
    before = digests(environment)
    home = {"HOME": str(tmp_path / "home"), "XDG_STATE_HOME": "", "PYTHONPATH": str(foreign)}
    file = tmp_path / "limits.json"
    file.write_text(LIMITS)
    made: Service = installed(**home, GOVERNANCE_INSTANCE="", GOVERNANCE_CONFIG=str(file), WEB_CONCURRENCY="2")
    made.cwd = foreign
    made.instance = tmp_path / "home/.local/state/model-limits"
    made.start()
    assert made.names() == {"from-the-file"}
    made.create("gpt-4o", rate_limit={"request_max_limit": 1, "request_reset_duration": "1h"})
    reservation = {"model": "gpt-4o"}
    answers = [made.call("POST", "/api/governance/reservations", reservation) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert "uPlot" in made.text("/ui/static/vendor/uPlot.iife.min.js")
    assert '<form method="post"' in made.text("/ui/sign-in")

    shown = run("limits", "list", cwd=foreign, **home)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "gpt-4o" in shown.stdout

    file.write_text(LIMITS.replace("from-the-file", "from-the-new-file"))
    os.kill(made.pid, signal.SIGHUP)
    until(lambda: "from-the-new-file" in made.names())

    os.kill(made.pid, signal.SIGTERM)
    assert made.process.wait(30) == 0
    assert digests(environment) == before
    assert sorted(path.name for path in foreign.iterdir()) == sorted(FOREIGN)


def test_commands_run_in_any_folder(run, foreign, tmp_path):
    database = {"GOVERNANCE_INSTANCE": str(tmp_path / "instance")}
    assert run("init", cwd=foreign, PYTHONPATH=str(foreign), **database).returncode == 0
    (foreign / "limits.json").write_text(LIMITS)
    assert run("sync", "limits.json", "--dry-run", cwd=foreign, **database).returncode == 2
    assert run("sync", "limits.json", "--yes", cwd=foreign, **database).returncode == 0
    assert "from-the-file" in run("limits", "list", **database).stdout


@pytest.mark.parametrize("words", [["usage"], ["usage", "--help"], ["keys", "create", "--help"]])
def test_text_names_the_command_that_was_called(words, run):
    done = run(*words)
    assert "model-limits " in done.stdout + done.stderr
    assert "flask governance" not in done.stdout + done.stderr
    assert "make run" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        (["serve"], {"PORT": "http"}, "Set PORT to a whole number from 1 to 65535: 'http' is not that."),
        (["serve"], {"HOME": "", "XDG_STATE_HOME": ""}, "Set GOVERNANCE_INSTANCE to a folder for the database: "),
        (["usage"], {}, "The database "),
        (["restore", "none.db"], {}, "Give a BACKUP that is a whole database of this service: "),
        (["usages"], {}, "Usage: model-limits [OPTIONS] COMMAND [ARGS]..."),
        (["serve", "--bad"], {}, "Usage: model-limits serve [OPTIONS]"),
    ],
)
def test_a_fault_is_told_with_exit_code_1(words, environ, said, run):
    done = run(*words, **environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
