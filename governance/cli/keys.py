"""`flask governance keys …`: create, list and revoke API keys, as `/api/api-keys` does."""

import click
from flask.cli import with_appcontext

from governance.cli.terminal import formatting
from governance.cli.terminal.database import opened
from governance.cli.terminal.output import expires_option, json_option, note, print_json, say
from governance.cli.terminal.paging import envelope, load_query, note_page, page_options
from governance.cli.terminal.tables import table
from governance.domain.errors import NotFound
from governance.domain.installation import PROGRAM
from governance.domain.records.list_query import Page
from schemas import keys as schemas
from schemas.loading import load
from schemas.queries import PageQuery

BODY, QUERY = schemas.ApiKeyCreate(), PageQuery()
HEAD = ("NAME", "SCOPES", "BEGINS WITH", "CREATED", "LAST USED", "EXPIRES", "ID")
UNKNOWN = f"Give the id of a key that exists: '{{}}' is none ({PROGRAM} keys list shows them)."

NONE_LEFT = (
    f"Warning: no admin key is left that lives as long. Make one with {PROGRAM} keys create NAME --scope admin, "
    "or start the service with GOVERNANCE_ADMIN_KEY."
)


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(schemas.KEY_SCOPES)),
    multiple=True,
    required=True,
    help="What it may do; may be given several times.",
)
@expires_option
@json_option
@with_appcontext
def create_key(*, name: str, scopes: tuple[str, ...], expires: str | None, as_json: bool) -> None:
    """Create an API key, and print it. It is not shown again.

    Standard output has nothing but the key, so a shell can store it: KEY=$(flask governance keys create …).

    Example: flask governance keys create dashboard --scope read --expires 90d
    """
    with opened() as service:
        expires_at = service.overview.instant(expires)
        body = load(BODY, {"name": name, "scopes": list(scopes), "expires_at": expires_at})
        key, secret = service.api_keys.create(body)
    if as_json:
        print_json({"api_key": schemas.api_key(key) | {"key": secret}})
        return
    expires = formatting.expiry(key.expires_at)
    note(f"API key {key.name} ({', '.join(key.scopes)}), id {key.id}, {expires}. Shown this once:")
    say(secret)


@keys.command("list")
@page_options(QUERY)
@json_option
@with_appcontext
def list_keys(*, as_json: bool, **given: str | None) -> None:
    """List API keys, newest first, without their values.

    Example: flask governance keys list --json
    """
    with opened() as service:
        page = Page(**load_query(QUERY, given))
        found, total = service.api_keys.page(page)
    if as_json:
        print_json(envelope("api_keys", [schemas.api_key(key) for key in found], total, page))
        return
    rows = [
        (
            key.name,
            " ".join(key.scopes),
            key.key_prefix,
            formatting.when(key.created_at),
            formatting.when(key.last_used_at),
            formatting.when(key.expires_at),
            key.id,
        )
        for key in found
    ]
    if rows:
        say(table([HEAD, *rows]))
    note_page(len(rows), total, page)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@json_option
@with_appcontext
def revoke_key(*, key_id: str, as_json: bool) -> None:
    """Revoke an API key: workers refuse it within one poll.

    Example: flask governance keys revoke 5c0f5a0e-8f0b-4c53-9d0a-2f7d1c1f6b7e
    """
    with opened() as service:
        try:
            last = service.api_keys.revoke(key_id) and service.settings.admin_key is None
        except NotFound as error:
            raise NotFound(UNKNOWN.format(key_id)) from error
    if last:
        note(NONE_LEFT)
    if as_json:
        print_json({"message": "API key revoked successfully"})
        return
    say("Revoked: workers refuse it within one poll.")
