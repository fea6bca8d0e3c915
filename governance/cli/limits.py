"""`flask governance limits …`: show the stored limits with their current usage."""

from collections.abc import Iterator

import click
import orjson
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import json_option, note, print_json, say
from governance.cli.terminal.paging import envelope, load_query, note_page, page_options
from governance.cli.terminal.tables import table
from governance.domain.limits.limit import LimitState
from governance.domain.times import lasting
from governance.services.metering.overview import LimitsOverview, statuses
from schemas import render
from schemas.queries import ModelLimitsQuery

QUERY = ModelLimitsQuery()
HEAD = ("MODEL", "PROVIDER", "FOR", "USED", "", "WINDOW", "RESETS", "ID")
RULE_HEAD = ("USED", "", "WINDOW", "SINCE", "RESETS", "ID")
NO_RULE = ("no rule", "it caps nothing", "–", "–")


@click.group()
def limits() -> None:
    """Show the limits."""


@limits.command("list")
@page_options(QUERY, leave_out=["from_memory"])
@json_option
@with_appcontext
def list_limits(*, as_json: bool, **given: str | None) -> None:
    """List limits with their usage.

    The options are the parameters of GET /model-configs. In a bar █ is used and ▒ is reserved.

    Example: flask governance limits list --scope virtual_key --sort-by usage
    """
    with opened() as service:
        query = load_query(QUERY, given)
        seen = service.overview.page(query)
    if as_json:
        print_json(envelope("model_configs", _documents(seen), seen.total, query.page))
        return
    if seen.limits:
        say(table([HEAD, *(row for entry in seen.limits for row in _rows(entry, seen.now))], spare=1))
    note_page(len(seen.limits), seen.total, query.page)


@limits.command("show")
@click.argument("limit", metavar="ID|MODEL")
@json_option
@with_appcontext
def show_limit(*, limit: str, as_json: bool) -> None:
    """Show a limit, or all limits on a model, and how often each limit refused a call.

    Example: flask governance limits show gpt-4o
    """
    with opened() as service:
        seen = service.overview.named(limit)
    if as_json:
        denials = {entry.limit.id: formatting.denials(seen.denials.get(entry.limit.id)) for entry in seen.limits}
        print_json({"model_configs": _documents(seen), "total_count": seen.total, "denials": denials})
        return
    say("\n\n".join(_details(entry, seen) for entry in seen.limits))
    if seen.total > len(seen.limits):
        note(f"Shown: the newest {len(seen.limits)} of {seen.total}; limits list --search shows more.")


def _documents(seen: LimitsOverview) -> list[orjson.Fragment]:
    return [orjson.Fragment(render.limit(entry, seen.now).body) for entry in seen.limits]


def _rows(entry: LimitState, now: int) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each rule (a budget, or a part of a rate limit).

    Each row starts with the model, the provider and the scope of the limit. So a line that `grep` finds is complete.
    """
    limit = entry.limit
    who = (limit.model_name, formatting.provider(limit), formatting.scope(limit, entry.scope_name))
    for each in statuses(entry, now):
        yield (
            *who,
            formatting.gauge(each),
            formatting.amounts(each),
            formatting.span(each),
            formatting.when(each.window.end),
            limit.id,
        )
    if not limit.rules:
        yield *who, *NO_RULE, limit.id


def _details(entry: LimitState, seen: LimitsOverview) -> str:
    limit, denied = entry.limit, seen.denials.get(entry.limit.id)
    facts = [
        ("model", limit.model_name),
        ("provider", formatting.provider(limit)),
        ("for", formatting.scope(limit, entry.scope_name)),
        ("id", limit.id),
        ("created", f"{formatting.when(limit.created_at)}, changed {formatting.when(limit.updated_at)}"),
        ("denied", formatting.denied(denied, seen.now)),
    ]
    rules = [
        (
            formatting.gauge(each),
            formatting.amounts(each),
            formatting.span(each),
            formatting.when(each.window.start),
            f"{formatting.when(each.window.end)}, in {lasting(each.window.end - seen.now)}",
            each.matched.rule.id,
        )
        for each in statuses(entry, seen.now)
    ]
    return f"{table(facts)}\n{table([RULE_HEAD, *rules]) if rules else 'No rule: it caps nothing.'}"
