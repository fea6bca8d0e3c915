"""Bars, amounts and tables. The functions are pure."""

import re
import unicodedata

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.cli.terminal import formatting, tables
from governance.domain.limits.limit import Counter
from governance.domain.metering.decision import MatchedRule, RuleStatus
from governance.domain.names import visible
from governance.domain.times import DAY, HOUR, MINUTE, SECOND, lasting
from tests.storage.stored import limit, rule

AMOUNTS = st.integers(0, 3 * 10**18)


def status(used: int, reserved: int, most: int, metric: str = "cost") -> RuleStatus:
    own = rule("r-1", metric, max_limit=most)
    return RuleStatus(MatchedRule(own, limit("l-1", own), None, (0, 0)), Counter(0, DAY, used, reserved), 0)


@given(AMOUNTS, AMOUNTS, st.integers(1, 10**18))
def test_a_bar_is_ten_cells_and_full_only_where_nothing_is_left(used, reserved, most):
    drawn = formatting.bar(status(used, reserved, most), formatting.BLOCKS)
    assert re.fullmatch("█*▒*░*", drawn)
    assert len(drawn) == formatting.BAR
    assert ("░" not in drawn) == (used + reserved >= most)
    assert drawn.count("█") <= used * formatting.BAR / most + 1e-9


@pytest.mark.parametrize(
    ("used", "reserved", "drawn"),
    [
        (0, 0, "----------   0%"),
        (9, 0, "----------   9%"),
        (10, 0, "#---------  10%"),
        (55, 30, "#####+++--  85%"),
        (99, 0, "#########-  99%"),
        (0, 100, "++++++++++ 100%"),
        (100, 7, "########## 107%"),
        (900, 0, "########## 900%"),
    ],
)
def test_a_gauge_tells_used_from_reserved_and_rounds_down(used, reserved, drawn, monkeypatch):
    monkeypatch.setattr("sys.stdout", type("Stream", (), {"encoding": "ascii"}))
    assert click.unstyle(formatting.gauge(status(used, reserved, 100))) == drawn


@pytest.mark.parametrize(
    ("metric", "used", "reserved", "most", "said"),
    [
        ("cost", 12_400_000_000, 0, 20_000_000_000, "$12.4 of $20"),
        ("cost", 1, 150, 1_234_567_000_000_000, "$0.000000001 + $0.00000015 of $1,234,567"),
        ("tokens", 1200, 0, 5_000_000, "1,200 of 5,000,000 tokens"),
        ("requests", 0, 1, 15, "0 + 1 of 15 requests"),
    ],
)
def test_amounts_are_exact_and_in_their_unit(metric, used, reserved, most, said):
    assert formatting.amounts(status(used, reserved, most, metric)) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0s"),
        (SECOND - 1, "0s"),
        (45 * SECOND, "45s"),
        (HOUR - 1, "59m 59s"),
        (4 * HOUR + 12 * MINUTE + 59 * SECOND, "4h 12m"),
        (DAY, "1d"),
        (400 * DAY + MINUTE, "400d 1m"),
    ],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(length, said):
    assert lasting(length) == said


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=8))
def test_columns_begin_in_the_same_cell_of_every_row(rows):
    marked = [(first, f"|{second}", f"|{third}") for first, second, third in rows]
    drawn = tables.table(marked).split("\n")
    lasts = [f"|{visible(third)}".rstrip() for *_, third in rows]
    ends = {tables.cells(line[: line.rindex(last)]) for line, last in zip(drawn, lasts, strict=True)}
    assert len(ends) == 1


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("abc", 3),
        ("模型", 4),
        ("ｶﾅ", 2),
        ("한국", 4),
        ("é", 1),
        ("e\u0301", 1),
        ("क्षि", 2),
        ("😀", 2),
        ("👍🏽", 2),
        ("❤", 1),
        ("❤\ufe0f", 2),
        ("1\ufe0f\u20e3", 2),
        ("🇩🇪", 2),
        ("👨\u200d👩\u200d👧", 2),
        ("\x1b[31mred\x1b[0m", 3),
        ("\x1b[31m模型\x1b[0m", 4),
        ("a\u200bb", 2),
    ],
)
def test_the_width_of_a_text_is_what_a_terminal_gives_it(text, cells):
    assert tables.cells(text) == cells
    assert tables.cells(unicodedata.normalize("NFD", text)) == cells


@pytest.mark.parametrize(("columns", "shown_columns"), [("80", 3), ("13", 3), ("12", 2), ("3", 2)])
def test_spare_columns_are_left_out_where_the_terminal_is_too_narrow(columns, shown_columns, monkeypatch):
    monkeypatch.setattr("sys.stdout", type("Terminal", (), {"isatty": lambda: True}))
    monkeypatch.setenv("COLUMNS", columns)
    drawn = tables.table([("aaa", "bbb", "ccc"), ("d", "e", "f")], spare=1)
    assert [len(line.split()) for line in drawn.splitlines()] == [shown_columns] * 2
