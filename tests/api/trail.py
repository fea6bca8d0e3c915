"""Functions that read the audit log through HTTP."""

from typing import Any

from sqlalchemy import select

from governance.storage.sqlite.database import SqliteDatabase
from governance.storage.tables import audit
from tests.conftest import Api

KEYS = "/api/api-keys"
DAY = {"max_limit": 20, "reset_duration": "1d"}
MINUTE = {"request_max_limit": 15, "request_reset_duration": "1m"}


def ok(response: Any) -> dict[str, Any]:
    """Return the body of a successful response."""
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def entries(api: Api, query: str = "limit=100") -> list[dict[str, Any]]:
    """Return a page of entries."""
    return list(ok(api.get(f"audit?{query}"))["audit"])


def newest(api: Api) -> dict[str, Any]:
    return entries(api, "limit=1")[0]


def changes(entry: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return (old, new) by field."""
    found = {change["field"]: (change["old"], change["new"]) for change in entry["changes"]}
    assert len(found) == len(entry["changes"])
    return found


def key(api: Api, *scopes: str, **fields: Any) -> dict[str, Any]:
    """Create an API key. Return the body of the response."""
    return dict(ok(api.post(KEYS, {"name": "a key", "scopes": scopes, **fields}))["api_key"])


def virtual_key(api: Api, **fields: Any) -> dict[str, Any]:
    """Create a virtual key. Return the body of the response."""
    return dict(ok(api.post("virtual-keys", {"name": "team", **fields}))["virtual_key"])


def text(database: SqliteDatabase) -> str:
    """Return the whole content of the audit table as one text."""
    with database.read() as connection:
        return repr(connection.execute(select(audit)).all())
