"""Terminal sessions of the README and of docs/ are true: what each command prints begins as it is shown there.

A session is a fenced block whose first line begins with `$ `. The blocks of a section are run in order, on a fresh
instance in a folder of its own (with `examples/` in it), at noon of 2026-11-23; what was done before, over HTTP, stands
in `BEFORE`. The lines below a command are its first lines, standard error included. It must end with exit code 0,
unless `$ echo $?` follows. `$ NAME=$(…)` keeps standard output in a variable. Ids, secrets, instants, sizes, schemas,
absolute paths and the width of columns may differ: they are masked on both sides, all else is compared as it stands.
"""

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask

from governance.settings import Settings
from tests.bifrost.stores import example
from tests.conftest import Api, FakeClock, governance_of
from tests.test_readme import commands

ROOT = Path(__file__).parents[1]
FLASK = ".venv/bin/flask "
ASSIGNED = re.compile(r"(\w+)=\$\((.*)\)")
MASKS = {
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "ID",
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "INSTANT",
    r"\b(sk-)?gov-[\w-]+": "SECRET",
    r"\b[\d.,]+ (bytes|[KMG]iB)\b": "SIZE",
    r"(?<![\w.])/[^\s,:]+": "PATH",
    r"\bschema +\d{4}\b": "schema NUMBER",
    r" +": " ",
}
"""What differs from run to run."""


class Step(NamedTuple):
    """A command, the first lines of what it prints, and the exit code with which it ends."""

    command: str
    shown: list[str]
    exit_code: int


def sessions(text: str) -> dict[str, list[Step]]:
    """The steps of each section that has any, by its heading."""
    found = {}
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        blocks = re.findall(r"^```\w*\n(\$ .*?)^```$", body, re.MULTILINE | re.DOTALL)
        if blocks:
            found[heading] = [step for block in blocks for step in steps(block)]
    return found


def steps(block: str) -> list[Step]:
    """The steps of a session."""
    found: list[Step] = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip().splitlines()
        if command == "echo $?":
            found[-1] = found[-1]._replace(exit_code=int(shown[0]))
        else:
            found.append(Step(command, shown, 0))
    return found


def masked(line: str) -> str:
    for pattern, name in MASKS.items():
        line = re.sub(pattern, name, line)
    return line.strip()


def meter(api: Api, clock: FakeClock) -> None:
    """The README's first limit, some use of it, and a call that it refused; and 40 seconds."""
    api.create(
        "claude-opus-4-1",
        provider="anthropic",
        budget={"max_limit": 20, "reset_duration": "1d"},
        rate_limit={"request_max_limit": 15, "request_reset_duration": "1m"},
    )
    call = {"model": "claude-opus-4-1", "provider": "anthropic"}
    api.post("usage", call | {"cost": 16.4, "requests": 4})
    api.post("reservations", call | {"cost": 2.5})
    api.post("reservations", call | {"cost": 2.5})
    clock.advance(40)


def edit(api: Api, _: FakeClock) -> None:
    """An edit of a limit that was used."""
    made = api.create(
        budget={"max_limit": 20, "reset_duration": "1d"},
        rate_limit={"request_max_limit": 15, "request_reset_duration": "1m"},
    )
    api.post("usage", {"model": "gpt-4o", "cost": 19.25})
    after = {"budget": {"max_limit": 50, "reset_duration": "1d"}, "reset_usage": True}
    api.put(f"model-configs/{made['id']}", after)


def keep(api: Api, _: FakeClock) -> None:
    """The example was applied; then its author changed a budget and added a limit, and elsewhere made two mistakes."""
    text = (ROOT / "examples/config.json").read_text()
    Path("config.json").write_text(text)
    api.client.application.test_cli_runner().invoke(args=["governance", "sync", "config.json", "--yes"])
    more = '{"id": "gpt-5-nano", "model_name": "gpt-5-nano", "provider": "openai", "budget_ids": ["nano-day"]},'
    day = '{"id": "nano-day", "max_limit": 5, "reset_duration": "1d"},'
    edited = text.replace('"max_limit": 60,', '"max_limit": 75,').replace('"budgets": [', f'"budgets": [{day}')
    Path("config.json").write_text(edited.replace('{"id": "gemini-pro"', f'{more}{{"id": "gemini-pro"'))
    broken = text.replace('"coding-day", "max_limit"', '"coding-day", "max_limt"')
    Path("broken.json").write_text(broken.replace('["reports-night"]', '["reports-nigt"]'))


def move(*_: object) -> None:
    """A small store of Bifrost's in the folder."""
    example(Path("config.db"), "2026-11-23")


BEFORE: dict[str, Callable[[Api, FakeClock], None]] = {
    "Moving from Bifrost": move,
    "Limits as code": keep,
    "Commands": meter,
    "Who changed what": edit,
}
README = sessions((ROOT / "README.md").read_text())
PAGES = {
    f"{page.name}: {heading}": found
    for page in sorted((ROOT / "docs").glob("*.md"))
    for heading, found in sessions(page.read_text()).items()
}
SESSIONS = README | PAGES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An instance as a newcomer has it: with the admin key that the first start mints."""
    return Settings(instance=str(tmp_path / "instance"))


@pytest.fixture
def api(app: Flask, settings: Settings) -> Api:
    return Api(app.test_client(), settings.admin_key_file.read_text().strip())


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to be in, in which a session may leave files."""
    (tmp_path / "session").mkdir()
    (tmp_path / "session/examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path / "session")


@pytest.mark.parametrize("section", SESSIONS)
@pytest.mark.usefixtures("_folder")
def test_the_commands_of_the_readme_print_what_it_shows(section, app, api, clock, monkeypatch):
    BEFORE.get(section, lambda *_: None)(api, clock)
    governance_of(app).poller.poll()
    for step in SESSIONS[section]:
        printed, exit_code = run(app, step, monkeypatch)
        assert exit_code == step.exit_code, (step.command, printed)
        first = [masked(line) for line in printed.splitlines()[: len(step.shown)]]
        assert first == [masked(line) for line in step.shown], f"$ {step.command}\n{printed}"


def run(app: Flask, step: Step, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """What a step prints, and its exit code."""
    assigned = ASSIGNED.fullmatch(step.command)
    command = os.path.expandvars(assigned[2] if assigned else step.command)
    assert command.startswith(FLASK), command
    result = app.test_cli_runner().invoke(args=shlex.split(command.removeprefix(FLASK)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if assigned:
        monkeypatch.setenv(assigned[1], result.stdout.strip())
    return result.stderr if assigned else result.output, result.exit_code


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_the_readme_shows_every_command_at_work(name):
    run_there = [step.command for section in README.values() for step in section]
    assert any(f"{FLASK}governance {name}" in command for command in run_there)


def test_a_session_is_read_as_it_is_written():
    text = "# T\n## A\n```\n$ a --b\none\n\ntwo\n$ c\n$ echo $?\n2\n```\n```sh\nd\n```\n## B\n```sh\ne\n```\n"
    assert sessions(text) == {"A": [Step("a --b", ["one", "", "two"], 0), Step("c", [], 2)]}


def test_only_what_differs_from_run_to_run_is_masked():
    line = "3 limits; 5418a48b-8835-47b8-846c-ac391ff8bb1c   2026-11-23T12:00:00Z gov-x_1-y 1.5 KiB /a/b, a/b $5"
    assert masked(line) == "3 limits; ID INSTANT SECRET SIZE PATH, a/b $5"
