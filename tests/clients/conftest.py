"""The members of a response that clients of Bifrost's API expect, and the type of each."""

from types import NoneType
from typing import Any

import pytest

from tests.conftest import Api

NUMBER = (int, float)
BUDGET = {"id": str, "max_limit": NUMBER, "reset_duration": str, "current_usage": NUMBER, "last_reset": str}
RATE_LIMIT = {
    "id": str,
    "token_current_usage": int,
    "token_last_reset": (str, NoneType),
    "request_current_usage": int,
    "request_last_reset": (str, NoneType),
}
"""`last_reset` is null for a metric without a maximum, because it has no window."""
LIMIT = {"id": str, "model_name": str, "scope": str, "calendar_aligned": bool, "created_at": str, "updated_at": str}
KEY = {"id": str, "name": str, "is_active": bool, "calendar_aligned": bool, "created_at": str, "updated_at": str}
ERROR = {"is_bifrost_error": bool, "status_code": int, "error": dict, "extra_fields": dict}


def expect(found: Any, members: dict[str, Any]) -> dict[str, Any]:
    """Return the object. It must have each of these members, of the given type."""
    assert isinstance(found, dict)
    wrong = {name: found.get(name) for name, kind in members.items() if not isinstance(found.get(name), kind)}
    assert wrong == {}
    return found


def limit(found: Any) -> dict[str, Any]:
    """Return a model limit, checked as strictly as a typed client does, with its budgets and rate limit."""
    made = expect(found, LIMIT)
    for name in ("provider", "scope_id", "scope_name"):
        assert made[name] is None or isinstance(made[name], str)
    for budget in made["budgets"]:
        expect(budget, BUDGET)
    if made["rate_limit"] is not None:
        expect(made["rate_limit"], RATE_LIMIT)
    return made


class Client:
    """Sends requests as a client does, and checks the responses. A success is 200.

    An error has the form of all errors.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the body of a successful response."""
        response = self._api.request(method, path, **({} if body is None else {"json": body}))
        assert response.status_code == 200, response.text
        assert response.content_type == "application/json"
        return dict(response.get_json())

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return the status and the message of an error."""
        response = self._api.request(method, path, **({} if body is None else {"json": body}))
        told = expect(response.get_json(), ERROR)
        assert told["status_code"] == response.status_code >= 400
        return response.status_code, expect(told["error"], {"message": str})["message"]


@pytest.fixture
def client(api: Api) -> Client:
    return Client(api)


@pytest.fixture
def key_id(client: Client) -> str:
    """Create a virtual key without limits, as the page of virtual keys does."""
    body = {
        "name": "platform",
        "description": "",
        "provider_configs": [],
        "mcp_configs": [],
        "budgets": [],
        "is_active": True,
        "calendar_aligned": False,
    }
    made = client.send("POST", "virtual-keys", body)
    assert made["message"] == "Virtual key created successfully"
    return str(expect(made["virtual_key"], KEY | {"value": str})["id"])
