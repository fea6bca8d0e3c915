"""A proxy that authorizes each call before it forwards the call, and settles it afterwards."""

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.conftest import Api
from tests.metering.conftest import *  # noqa: F403 - the fixtures of metering
from tests.metering.conftest import ok


class Proxy:
    """Sends the requests of a proxy: with its own key, and with the headers and body of the client."""

    def __init__(self, api: Api, key: str, virtual_key: str) -> None:
        self.api = api
        self.key = key
        self.virtual_key = virtual_key

    def authorize(self, body: Any = None, path: str = "v1/chat/completions", **headers: str) -> TestResponse:
        """Authorize a call of the virtual key. Header names have `_` for `-`.

        A header with the value `""` is left out. X-Forwarded-Uri counts only with `?trust=uri`.
        """
        sent = {"Authorization": f"Bearer {self.virtual_key}", "X-Governance-Key": self.key}
        sent |= {"X-Forwarded-Uri": "/v1/chat/completions"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        url = f"/gateway/authorize/{path}" if path[:1] not in ("?", "") else f"/gateway/authorize{path}"
        given = {name: value for name, value in sent.items() if value}
        return self.api.with_key(None).request("POST", url, data=data, headers=given)

    def allowed(self, body: Any = None, path: str = "v1/chat/completions", **headers: str) -> dict[str, str]:
        """Return the headers of the response to an allowed call."""
        answer = self.authorize(body, path, **headers)
        assert (answer.status_code, answer.data) == (200, b""), answer.text
        return dict(answer.headers)

    def refused(self, body: Any = None, path: str = "v1/chat/completions", **headers: str) -> tuple[int, str]:
        """Return the status and the code of the response to a refused call."""
        answer = self.authorize(body, path, **headers)
        return answer.status_code, answer.get_json()["error"]["code"]

    def settle(self, reservation_id: str, body: Any = b"", status: str = "200", **headers: str) -> TestResponse:
        sent = {"X-Governance-Key": self.key, "X-Reservation-Id": reservation_id, "X-Upstream-Status": status}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name: value for name, value in sent.items() if value}
        return self.api.with_key(None).request("POST", "/gateway/settled", data=data, headers=given)

    def settled(self, reservation_id: str, body: Any = b"", status: str = "200", **headers: str) -> dict[str, Any]:
        """Return the reservation after a settle."""
        answer = self.settle(reservation_id, body, status, **headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json()["reservation"])


@pytest.fixture
def proxy(api, clock):
    """Return a proxy with a key of its own, and a client with the virtual key `vk`. The prices are known."""
    value = api.post("virtual-keys", {"id": "vk", "name": "Search"}).get_json()["virtual_key"]["value"]
    key = api.post("/api/api-keys", {"name": "proxy", "scopes": ["meter"]}).get_json()["api_key"]["key"]
    for model in ("gpt-4o", "claude-4"):
        ok(api.post("prices", {"model": model, "input": 2, "cached_input": 1, "output": 10}))
    return Proxy(api, key, value)
