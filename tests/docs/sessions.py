"""Runs the examples of a page. `.venv/bin/flask` runs in this process, every other command in a shell with a server."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import MutableMapping
from pathlib import Path

from flask import Flask

from tests.docs.examples import Step, differences, json_names, names, same_text, shown_json

FLASK = ".venv/bin/flask "
ASSIGNED = re.compile(r"(\w+)=\$\((\.venv/bin/flask .*)\)")
SHOWN_WHOLE = ("doctor", "verify")
"""The commands whose whole output must be on the page. Of all others, the page may show the first lines only."""
SERVICE = "http://127.0.0.1:8080"


class Session:
    """A terminal in a folder of its own. The ids on a page are replaced by the ids of this run."""

    def __init__(self, app: Flask, url: str, environ: MutableMapping[str, str]) -> None:
        self.app = app
        self.url = url
        self.environ = environ
        self.names: dict[str, str] = {}

    def run(self, step: Step) -> None:
        """Run a step. Compare its exit code and its output with the page."""
        command = step.command.replace(SERVICE, self.url)
        for shown, given in self.names.items():
            command = command.replace(shown, given)
        assigned = ASSIGNED.fullmatch(command)
        if assigned or command.startswith(FLASK):
            printed, exit_code = self._flask(assigned[2] if assigned else command, assigned and assigned[1])
        else:
            printed, exit_code = self._shell(command)
        told = f"$ {step.command}\n{printed}"
        assert exit_code == step.exit_code, told
        if step.shown and step.shown[0].startswith(("{", "[")):
            self._compare_json("\n".join(step.shown), printed, told)
        else:
            self._compare_lines(step.shown, printed.splitlines(), told)
        if step.command.removeprefix(f"{FLASK}governance ") in SHOWN_WHOLE:
            assert len(printed.splitlines()) == len(step.shown), told

    def _flask(self, command: str, variable: str | None) -> tuple[str, int]:
        expanded = re.sub(r"\$(\w+)", lambda found: self.environ[found[1]], command)
        result = self.app.test_cli_runner().invoke(args=shlex.split(expanded.removeprefix(FLASK)))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        if variable:
            self.environ[variable] = result.stdout.strip()
        return result.stderr if variable else result.output, result.exit_code

    def _shell(self, command: str) -> tuple[str, int]:
        """Run a command in a shell. The next shell has the same variables."""
        kept = Path(".environ")
        shell = ["bash", "-ac", f"trap 'env -0 >{kept}' EXIT\n{command}"]
        result = subprocess.run(
            shell, env=dict(self.environ), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        self.environ.update(part.split("=", 1) for part in kept.read_text().split("\0") if part)
        return result.stdout, result.returncode

    def _compare_json(self, text: str, printed: str, told: str) -> None:
        shown, answered = shown_json(text), json.loads(printed)
        assert differences(shown, answered) == [], told
        self._remember(json_names(shown, answered))

    def _compare_lines(self, shown: list[str], printed: list[str], told: str) -> None:
        assert len(printed) >= len(shown), told
        for line, other in zip(shown, printed, strict=False):
            assert same_text(line, other), f"{line!r} is shown, not {other!r}:\n{told}"
            self._remember(names([line], [other]))

    def _remember(self, found: dict[str, str]) -> None:
        for shown, given in found.items():
            assert self.names.setdefault(shown, given) == given, f"{shown} is shown for two"


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a user's shell without any variable of the service."""
    ours = ("GOVERNANCE", "AUTH", "PORT", "HOST")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)} | {"PWD": str(folder)}
