"""The tables of docs/ agree with the code that they describe. The tests define the contents of a row."""

import re
from collections.abc import Iterator
from fractions import Fraction

import click
import pytest
from flask import Flask

from governance import cli
from governance.domain.errors import Code
from governance.domain.pricing.price_json import number
from governance.domain.times import parse_rfc3339
from governance.services.pricing import genai_prices_list
from governance.settings import Settings
from governance.web.http import operation
from governance.web.http.errors import STATUS
from schemas.queries import ModelLimitsQuery
from tests.docs.pages import ROOT, table


def endpoints(app: Flask) -> list[str]:
    """Return a row for each endpoint: method and path (POST for any method), the required key scope, its summary."""
    found = []
    for rule in app.url_map.iter_rules():
        declared = operation.of(app.view_functions[rule.endpoint])
        if declared is None:  # a page for browsers
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<id:{name}>", "{id}").replace(f"<{name}>", "{id}").replace("<call:call>", "{call}")
        own = rule.methods - {"HEAD", "OPTIONS"}
        methods = sorted(own) if len(own) == 1 else ["POST"]
        found += [
            f"| `{method} {path}` | {' or '.join(declared.scopes) or '–'} | {declared.summary} |" for method in methods
        ]
    return found


def settings() -> list[list[str]]:
    """Return the cells of a row for each setting, without its unit: its variable, its default, its meaning."""
    found = []
    for name, default, meaning in Settings.table():
        shown = "–" if default is None else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        found.append([f"`{name}`", shown, meaning])
    return found


def test_every_parameter_of_a_list_has_a_row():
    rows = [row.split("|")[1] for row in table("docs/limits.md", "List")]
    assert sorted(name for row in rows for name in re.findall("`([a-z_]+)`", row)) == sorted(ModelLimitsQuery().fields)


def commands(group: click.Group = cli.commands, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the terminal with its name, in the order of registration."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def command_rows() -> list[str]:
    """Return a row for each command: its name with its arguments, and the first line of its help."""
    found = []
    for name, command in commands():
        arguments = [part for part in command.params if isinstance(part, click.Argument)]
        written = " ".join([name, *(str(part.metavar or part.name).upper() for part in arguments)]).replace("|", " or ")
        found.append(f"| `{written}` | {(command.help or '').splitlines()[0].removesuffix('.')} |")
    return found


def test_every_command_is_in_its_table():
    assert table("docs/commands.md", "All commands") == command_rows()


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_has_json_and_a_help_with_an_example_that_is_one(name, command, app):
    shown = app.test_cli_runner().invoke(args=["governance", *name.split(), "--help"]).output
    (example,) = [line.strip() for line in shown.splitlines() if line.startswith("  Example: ")]
    words = example.removeprefix("Example: flask governance ").split()
    assert words[: len(name.split())] == name.split()
    command.make_context(name, words[len(name.split()) :])
    assert "--json" in shown


def test_every_endpoint_is_in_its_table_with_its_scope(app):
    assert table("docs/api.md", "All endpoints") == endpoints(app)


def test_every_endpoint_of_the_openapi_document_has_an_example(app):
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    headings = (ROOT / "docs/api.md").read_text().splitlines()
    missing = [
        f"### {method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if f"### {method.upper()} {path}" not in headings
    ]
    assert missing == []


def test_every_error_code_is_in_its_table_with_its_status():
    rows = [row.rsplit("|", 2)[0] for row in table("docs/api.md", "Errors")]
    assert [row.split("|")[1:3] for row in rows] == [[f" `{code}` ", f" {status} "] for code, status in STATUS.items()]
    assert STATUS.keys() == set(Code)


def test_every_setting_is_in_its_table_with_its_default_and_its_unit():
    rows = [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in table("docs/install.md", "Settings")]
    assert [[variable, default, meaning] for variable, default, _unit, meaning in rows] == settings()
    assert all(unit for _, _, unit, _ in rows)


def test_each_cost_in_the_table_of_models_is_that_of_the_list():
    rows = [
        row.replace("`", "").strip("| ").split(" | ") for row in table("docs/prices.md", "Where a price comes from")
    ]
    assert len(rows) == 10
    now = parse_rfc3339("2026-11-26T12:00:00Z")
    for provider, model, *shown, cost in rows:
        found = genai_prices_list.find(provider, model)
        assert found is not None, model
        rates = next(each for each in found.prices if each.holds(now)).price.rates
        assert [number(rate) for rate in (rates.input, rates.cached_input, rates.output)] == shown, model
        by_hand = sum(count * Fraction(rate) for count, rate in zip((1_000, 10_000, 500), shown, strict=True)) / 10**6
        assert by_hand == Fraction(cost), model
