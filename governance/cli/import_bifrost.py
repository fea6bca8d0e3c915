"""`flask governance import-bifrost`: import the database of the gateway Bifrost, and report the result by row."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, print_json, say
from governance.domain.bifrost.candidates import CandidateKind, ImportNote, ImportOutcome, ImportPlan
from governance.domain.bifrost.rows import UnreadColumn

NAMES = {
    CandidateKind.VIRTUAL_KEY: ("virtual key", "virtual keys"),
    CandidateKind.LIMIT: ("model limit", "model limits"),
    CandidateKind.BUDGET: ("budget", "budgets"),
    CandidateKind.RATE_LIMIT: ("rate limit", "rate limits"),
    CandidateKind.PRICE: ("price", "prices"),
}
COUNTED = ("found", *(outcome.value for outcome in ImportOutcome))
HEADS = ("", "found", "taken", "kept", "left out")
NAMED = 3
"""The largest number of ids that one line lists."""


@click.command("import-bifrost")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Store nothing; exit code 2 where something would be.")
@json_option
@with_appcontext
def import_bifrost(file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Import limits, virtual keys and their usage from FILE, Bifrost's SQLite store.

    Bifrost may run meanwhile, because its file is only read. Rows that are stored here already stay as they are, so a
    second run imports nothing twice.

    Example: flask governance import-bifrost ~/bifrost/config.db --dry-run
    """
    with opened() as service:
        decided = service.bifrost_import.run(file, dry_run=dry_run)
    if as_json:
        print_json(_shown(decided, dry_run=dry_run))
    else:
        say("\n".join(_lines(decided, dry_run=dry_run)))
    sys.exit(2 if dry_run and decided.changes else 0)


def _shown(decided: ImportPlan, *, dry_run: bool) -> dict[str, Any]:
    """Return the report as JSON: the counts by kind of row, every row, and the columns that are not read."""
    return {
        "dry_run": dry_run,
        "changes": decided.changes,
        "with_usage": len(decided.openings),
        "counts": {kind.value: dict(zip(COUNTED, _counts(decided, kind), strict=True)) for kind in CandidateKind},
        "rows": [row._asdict() for row in decided.notes],
        "not_read": [each._asdict() for each in decided.unread],
    }


def _lines(decided: ImportPlan, *, dry_run: bool) -> Iterator[str]:
    """Yield the report as text: the counts, the rows left out, the differences, and the columns that are not read."""
    yield _columns(HEADS)
    for kind in CandidateKind:
        yield _columns((NAMES[kind][1], *map(str, _counts(decided, kind))))
    yield from _section("Left out", _left_out(decided.notes))
    yield from _section("Different here", _differences(decided.notes))
    yield from _section("Not read, though it may hold caps", map(_unread, decided.unread))
    yield ""
    yield _summary(decided, dry_run=dry_run)


def _counts(decided: ImportPlan, kind: CandidateKind) -> list[int]:
    outcomes = [row.outcome for row in decided.notes if row.kind == kind]
    return [len(outcomes), *(outcomes.count(outcome) for outcome in ImportOutcome)]


def _columns(cells: Iterable[str]) -> str:
    first, *rest = cells
    return first.ljust(12) + "".join(cell.rjust(10) for cell in rest)


def _section(head: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"{head}:", *(f"  {line}" for line in found))


def _left_out(notes: Iterable[ImportNote]) -> Iterator[str]:
    order = list(CandidateKind)
    for row in sorted(notes, key=lambda row: order.index(row.kind)):
        if row.outcome == ImportOutcome.LEFT_OUT:
            yield _printable(f"{NAMES[row.kind][0]} {row.id} ({row.name}): {' '.join(row.remarks)}")


def _differences(notes: Iterable[ImportNote]) -> Iterator[str]:
    """Yield the differences between imported rows and Bifrost's rows. Rows with the same difference share one line."""
    groups: dict[tuple[CandidateKind, str], list[str]] = {}
    for row in notes:
        for remark in row.remarks if row.outcome == ImportOutcome.TAKEN else ():
            groups.setdefault((row.kind, remark), []).append(row.id)
    for (kind, remark), ids in groups.items():
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        yield _printable(f"{NAMES[kind][len(ids) > 1]} {', '.join(ids[:NAMED])}{more}: {remark}")


def _unread(each: UnreadColumn) -> str:
    what = f"{each.table}.{each.column}" if each.column else f"table {each.table}"
    return _printable(f"{what} ({each.rows} row{'s' if each.rows > 1 else ''})")


def _summary(decided: ImportPlan, *, dry_run: bool) -> str:
    if not decided.changes and any(row.outcome == ImportOutcome.LEFT_OUT for row in decided.notes):
        return "Nothing was stored: what is not here already was left out."
    if not decided.changes:
        return "Nothing to do: there is nothing in it that is not here."
    done, bring = ("A dry run: nothing was stored", "would bring") if dry_run else ("Stored", "brought")
    return f"{done}. Open windows that {bring} their usage: {len(decided.openings)}."


def _printable(text: str) -> str:
    """Return text from Bifrost's database, with `�` instead of each unprintable character.

    An unprintable character could change what the terminal shows.
    """
    return "".join(character if character.isprintable() else "�" for character in text)
