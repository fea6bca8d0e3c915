"""The README's tables are made of the code they describe; these tests say what a row must be."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from governance import cli
from governance.settings import Settings
from governance.web.http import operation
from governance.web.http.errors import STATUS

README = Path(__file__).parents[1] / "README.md"


def rows(heading: str) -> list[str]:
    """The table rows under a heading of the README, without the table's head."""
    section = README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def endpoints(app: Flask) -> list[str]:
    """A row for each endpoint: method and path, the key scope it needs, what it does."""
    found = []
    for rule in app.url_map.iter_rules():
        declared = operation.of(app.view_functions[rule.endpoint])
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<id:{name}>", "{id}").replace(f"<{name}>", "{id}")
        methods = sorted(rule.methods - {"HEAD", "OPTIONS"})
        found += [
            f"| `{method} {path}` | {' or '.join(declared.scopes) or '–'} | {declared.summary} |" for method in methods
        ]
    return found


def codes() -> list[str]:
    return [f"| `{code}` | {status} |" for code, status in STATUS.items()]


def settings() -> list[str]:
    found = []
    for name, default, meaning in Settings.table():
        shown = "–" if default is None else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        found.append(f"| `{name}` | {shown} | {meaning} |")
    return found


def commands(group: click.Group = cli.commands, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command of the terminal with its name, in the order in which they are registered."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def command_rows() -> list[str]:
    """A row for each command: its name with its arguments, and the first sentence of its help."""
    found = []
    for name, command in commands():
        arguments = [part for part in command.params if isinstance(part, click.Argument)]
        written = " ".join([name, *(str(part.metavar or part.name).upper() for part in arguments)]).replace("|", " or ")
        found.append(f"| `{written}` | {(command.help or '').splitlines()[0].removesuffix('.')} |")
    return found


def test_the_readme_lists_every_command():
    assert rows("Commands") == command_rows()


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_has_json_and_a_help_with_an_example_that_is_one(name, command, app):
    shown = app.test_cli_runner().invoke(args=["governance", *name.split(), "--help"]).output
    (example,) = [line.strip() for line in shown.splitlines() if line.startswith("  Example: ")]
    words = example.removeprefix("Example: flask governance ").split()
    assert words[: len(name.split())] == name.split()
    command.make_context(name, words[len(name.split()) :])
    assert "--json" in shown


def test_the_readme_lists_every_endpoint_with_its_scope(app):
    assert rows("Endpoints") == endpoints(app)


def test_the_readme_lists_every_error_code_with_its_status():
    assert rows("Errors") == codes()


def test_the_readme_lists_every_setting_with_its_default():
    assert rows("Settings") == settings()


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"])
def test_a_document_names_only_files_that_exist(document):
    root = README.parent
    words = (root / document).read_text().replace("(", " ").replace(")", " ").replace("`", " ").split()
    paths = {
        word.strip(".,:;→") for word in words if "/" in word and word.strip(".,:;").endswith((".py", ".md", ".sh"))
    }
    known = [root, root / "governance"]
    assert [path for path in paths if not any((folder / path).exists() for folder in known)] == []
