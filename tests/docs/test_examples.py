"""Every example of the README and of docs/ works, and its output is the one on the page.

The sections run in order, on a new instance at noon of 2026-11-23. `tests/docs/before.py` has the steps before each.
Ids, secrets, instants, sizes, schemas, absolute paths and the width of columns may differ. All else is compared.
"""

import itertools
import json
import shutil

import pytest

from tests.conftest import governance_of
from tests.docs.before import BEFORE, nothing
from tests.docs.examples import Step, differences, json_names, masked, shown_json, steps
from tests.docs.pages import PAGES, Block, Section, sections
from tests.docs.sessions import FLASK
from tests.docs.test_tables import commands

NOT_RUN = {
    "make run     # the service on 127.0.0.1:8080": "it starts the service: tests/process does that",
    "python examples/gateway.py --provider openai https://api.openai.com/v1/chat/completions < request.json": (
        "it calls a model: tests/examples/test_gateway.py runs it against one that answers as it is told to"
    ),
    "kill -HUP <pid of gunicorn's first process>    # systemd: ExecReload=/bin/kill -HUP $MAINPID": "it has no pid:"
    " tests/process/test_reload.py sends the signal",
    "/srv/model-limits/bin/governance usage                                   # a link to it works, too": "it stands"
    " elsewhere: tests/cli/test_any_folder.py runs it",
    ".venv/bin/flask governance restore backup.db": "with a start after it: tests/process/test_backup.py runs it",
}
"""Blocks of `sh` that no test can run here, by their first line, with the reason."""

MOMENT = 0.000_01
"""Seconds between two commands. So a row of one command is older than a row of the next command."""


def runs() -> dict[str, list[Section]]:
    """Return the sections that run one after another on one instance, by the page and heading of the first."""
    found: dict[str, list[Section]] = {}
    for page in PAGES:
        for number, section in enumerate(sections(page)):
            key = f"{section.page}: {section.heading}"
            if number == 0 or key in BEFORE:
                current = found.setdefault(key, [])
            current.append(section)
    return {key: run for key, run in found.items() if any(map(examples, run))}


def examples(section: Section) -> list[Step]:
    return [step for step in steps(section.blocks) if step.command.splitlines()[0] not in NOT_RUN]


RUNS = runs()


@pytest.mark.parametrize("run", RUNS)
def test_examples_print_what_is_shown(run, app, api, clock, session):
    steps_of_run = list(itertools.chain.from_iterable(map(examples, RUNS[run])))
    if shutil.which("curl") is None and any("curl " in step.command for step in steps_of_run):
        pytest.skip("needs curl")
    BEFORE.get(run, nothing)(api, clock)
    for step in steps_of_run:
        clock.advance(MOMENT)
        governance_of(app).poller.poll()
        session.run(step)


def test_every_section_with_a_state_before_exists():
    assert BEFORE.keys() <= RUNS.keys()


def test_every_block_that_is_not_run_exists():
    firsts = {block.text.splitlines()[0] for page in PAGES for section in sections(page) for block in section.blocks}
    assert NOT_RUN.keys() <= firsts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_json_block_is_json(page):
    for section in sections(page):
        for block in section.blocks:
            if block.language == "json":
                shown_json(block.text)


def test_every_command_is_shown_at_work():
    run_there = [step.command for run in RUNS.values() for section in run for step in examples(section)]
    for name, _ in commands():
        assert any(f"{FLASK}governance {name}" in command for command in run_there), name


def test_an_example_is_read_as_it_is_written():
    session = "$ a --b\none\n\ntwo\n$ c '{\n}' \\\n  d\n$ echo $?\n2\n"
    blocks = [Block("", session), Block("sh", "e\nf\n"), Block("json", "{}\n"), Block("sh", "g\n"), Block("nginx", "h")]
    assert steps(blocks) == [
        Step("a --b", ["one", "", "two"]),
        Step("c '{\n}' \\\n  d", [], 2),
        Step("e\nf", ["{}"]),
        Step("g", []),
    ]


def test_only_what_differs_from_run_to_run_is_masked():
    line = "3 limits; 5418a48b-8835-47b8-846c-ac391ff8bb1c   2026-11-23T12:00:00Z gov-x_1-y 1.5 KiB /a/b, a/b $5"
    assert masked(line) == "3 limits; ID INSTANT SECRET SIZE PATH, a/b $5"


@pytest.mark.parametrize(
    ("shown", "answered", "differs"),
    [
        ('{"a": 1, …}', {"a": 1, "b": 2}, False),
        ('{"a": 1}', {"a": 1, "b": 2}, True),
        ('{"a": 1, …}', {"a": 2}, True),
        ('{"a": {…}, "b": [1, …]}', {"a": {"c": 1}, "b": [1, 2]}, False),
        ('{"b": [1]}', {"b": [1, 2]}, True),
        ('{"at": "2026-11-23T12:00:00Z", "key": "gov-a…"}', {"at": "2026-11-23T12:00:01Z", "key": "gov-bc…"}, False),
        ('{"text": "Ask … less"}', {"text": "Ask for less"}, False),
        ('{"text": "Ask … less"}', {"text": "Ask for more"}, True),
    ],
)
def test_a_shown_answer_is_compared_field_by_field(shown, answered, differs):
    assert bool(differences(shown_json(shown), answered)) == differs


def test_a_shown_id_stands_for_the_one_that_was_given():
    shown, given = "01a2165f-7269-7ef5-ac3e-a515cda10740", "01a2165f-7269-7ef5-ac3e-a515cda10741"
    assert json_names({"a": [{"id": shown}]}, json.loads(json.dumps({"a": [{"id": given}]}))) == {shown: given}
