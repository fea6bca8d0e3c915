"""The report as text: a table of the imported rows, each row that was left out, and the differences here."""

import pytest

from tests.bifrost.stores import LATER, BifrostStore

MORNING = "2026-11-23 08:00:00+00:00"


def sections(output):
    """Return the report's lines by heading."""
    found, head = {"": []}, ""
    for line in output.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            head = line
            found[head] = []
        elif line.startswith("  ") and head:
            found[head].append(line.strip())
        else:
            found[""].append(line)
    return found


def test_the_table_counts_each_kind_by_what_became_of_it(store, run):
    store.budget(store.limit())
    store.budget(team_id="t")
    assert run().output.splitlines()[:5] == [
        "                 found     taken      kept  left out",
        "virtual keys         0         0         0         0",
        "model limits         1         1         0         0",
        "budgets              2         1         0         1",
        "rate limits          0         0         0         0",
    ]


def test_a_row_that_was_left_out_is_named_with_what_it_was_and_why(store, run):
    budget = store.budget(store.limit("gpt-5", provider="openai"), max_limit=-2)
    what = f"budget {budget} ($-2.0 in 1d on gpt-5 of openai (global))"
    why = "max_limit is -2.0: give max_limit as a number of dollars above 0 and at most 1000000000."
    assert sections(run().output)["Left out:"] == [f"{what}: {why}"]


def test_rows_that_differ_alike_share_a_line(store, run):
    rounded = {"last_reset": MORNING, "current_usage": 0.1 + 0.2}
    budgets = [store.budget(store.limit(each, id=f"lim-{each}"), id=f"bud-{each}", **rounded) for each in "abcde"]
    assert sections(run().output)["Different here:"] == [
        f"budgets {', '.join(budgets[:3])} and 2 more: Its usage was rounded to the billionth of a dollar."
    ]


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        ([], "Stored. Open windows that brought their usage: 1."),
        (["--dry-run"], "A dry run: nothing was stored. Open windows that would bring their usage: 1."),
    ],
)
def test_the_last_line_says_what_was_done(store, run, arguments, end):
    store.budget(store.limit(), last_reset=MORNING, current_usage=1)
    assert run(*arguments).output.splitlines()[-1] == end


def test_where_nothing_is_new_the_last_line_says_so(store, run):
    store.limit()
    run()
    assert run().output.splitlines()[-1] == "Nothing to do: there is nothing in it that is not here."
    assert "Left out" not in run().output


def test_what_a_store_holds_cannot_rewrite_the_terminal(path, run):
    BifrostStore(path, LATER).limit("gpt\x1b[2J\nLeft out:", provider="*")
    output = run().output
    assert "\x1b" not in output
    assert output.splitlines().count("Left out:") == 1


def test_help_has_an_example(app):
    output = app.test_cli_runner().invoke(args=["governance", "import-bifrost", "--help"]).output
    assert "Example: flask governance import-bifrost ~/bifrost/config.db --dry-run" in output
    assert "--dry-run" in output
