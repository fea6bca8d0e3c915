"""The benchmark writes RESULTS.md. Each part replaces its own section, and one table has the targets of all parts."""

import json

from bench.results import Part, placed, table, write
from bench.targets import Target

LIST = Part("list", "## List", [Target("a page", 0.9, 0.85, least=True)], {"pages": {"ours": 9.0}})
DECIDE = Part("decide", "## Decide", [Target("p99", 40, 30, unit="ms")], {"decisions": {"ours": 2.0}})


def test_a_table_is_as_wide_as_its_widest_cells():
    assert table(("", "ms"), [["a", "1.25"], ["bc", "3"]]).splitlines() == [
        "|    |   ms |",
        "| -- | ---: |",
        "| a  | 1.25 |",
        "| bc |    3 |",
    ]


def test_a_new_section_stands_behind_the_others():
    document = placed(placed("# Results\n", "one", "first"), "two", "second")
    assert document.index("first") < document.index("second")


def test_a_section_that_is_there_is_replaced():
    document = placed(placed(placed("# Results\n", "one", "old"), "two", "second"), "one", r"new \1")
    assert "old" not in document
    assert document.index(r"new \1") < document.index("second")


def test_parts_that_ran_apart_stand_together(tmp_path):
    write([LIST], tmp_path)
    figures = write([DECIDE], tmp_path)
    document = (tmp_path / "RESULTS.md").read_text()
    assert document.index("1 of 2 met.") < document.index("## List") < document.index("## Decide")
    assert figures == json.loads((tmp_path / "results.json").read_text())
    assert {name: part["bars"] for name, part in figures.items()} == {"list": LIST.bars, "decide": DECIDE.bars}


def test_a_part_that_runs_again_replaces_its_figures(tmp_path):
    write([LIST, DECIDE], tmp_path)
    write([DECIDE._replace(targets=[Target("p99", 20, 30, unit="ms")])], tmp_path)
    document = (tmp_path / "RESULTS.md").read_text()
    assert "2 of 2 met." in document
    assert document.count("## Decide") == 1
