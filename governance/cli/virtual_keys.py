"""`flask governance virtual-keys …`: create and list virtual keys, as the API does (`/api/governance/virtual-keys`).

A virtual key is the secret with which a client calls models through the gateway.
"""

import click
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import expires_option, json_option, note, print_json, say
from governance.cli.terminal.paging import envelope, load_query, note_page, page_options
from governance.cli.terminal.tables import table
from governance.domain.keys import VirtualKey
from governance.domain.records.list_query import Page
from schemas import keys as schemas
from schemas.loading import load
from schemas.queries import SearchQuery

BODY, QUERY = schemas.VirtualKeyCreate(), SearchQuery()
HEAD = ("NAME", "ACTIVE", "BEGINS WITH", "CREATED", "EXPIRES", "DESCRIPTION", "ID")


@click.group("virtual-keys")
def virtual_keys() -> None:
    """Create and list virtual keys. A limit may have a virtual key as its scope."""


@virtual_keys.command("create")
@click.argument("name")
@click.option("--id", "key_id", metavar="ID", help="The gateway's own id for the key; minted where left out.")
@click.option("--description", help="What it is for.")
@click.option("--calendar-aligned", is_flag=True, help="New limits on this key follow the calendar.")
@expires_option
@json_option
@with_appcontext
def create_virtual_key(
    *,
    name: str,
    key_id: str | None,
    description: str | None,
    calendar_aligned: bool,
    expires: str | None,
    as_json: bool,
) -> None:
    """Create a virtual key, and print its value. The value is not shown again.

    Standard output has nothing but the value, so a shell can store it: KEY=$(flask governance virtual-keys create …).

    Example: flask governance virtual-keys create team-red --id vk-red
    """
    given = {"id": key_id, "name": name, "description": description}
    with opened() as service:
        given["expires_at"] = service.overview.instant(expires)
        body = load(BODY, {field: value for field, value in given.items() if value is not None})
        key, value = service.virtual_keys.create(body | {"calendar_aligned": calendar_aligned})
    if as_json:
        print_json({"virtual_key": schemas.virtual_key(key) | {"value": value}})
        return
    note(f"Virtual key {key.name}, id {key.id}, {formatting.expiry(key.expires_at)}. Its value is shown this once:")
    say(value)


@virtual_keys.command("list")
@page_options(QUERY)
@json_option
@with_appcontext
def list_virtual_keys(*, as_json: bool, **given: str | None) -> None:
    """List virtual keys, newest first, without their values.

    Example: flask governance virtual-keys list --search red
    """
    with opened() as service:
        query = load_query(QUERY, given)
        page = Page(query["limit"], query["offset"])
        found, total = service.virtual_keys.page(page, query["search"])
    if as_json:
        print_json(envelope("virtual_keys", [schemas.virtual_key(key) for key in found], total, page))
        return
    if found:
        say(table([HEAD, *(_row(key) for key in found)]))
    note_page(len(found), total, page)


def _row(key: VirtualKey) -> tuple[str, ...]:
    return (
        key.name,
        "yes" if key.is_active else "no",
        key.value_prefix,
        formatting.when(key.created_at),
        formatting.when(key.expires_at),
        key.description or "–",
        key.id,
    )
