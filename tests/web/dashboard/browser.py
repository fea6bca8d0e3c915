"""A browser without script: it keeps cookies, reads pages, and sends their forms."""

import re
from html import unescape
from typing import Any
from urllib.parse import urljoin

from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.conftest import ADMIN_KEY

TOKEN = re.compile(r'name="form" value="([^"]+)"')
ORIGIN = "http://localhost"


class Browser:
    """Addresses are those of pages: `limits?search=x`; empty is the overview."""

    def __init__(self, app: Flask, *, base_url: str = f"{ORIGIN}/", **environ: Any) -> None:
        self.client = Client(app, app.response_class)
        self.base_url = base_url
        self.environ = {"REMOTE_ADDR": "127.0.0.1", **environ}

    def get(self, page: str = "", **kwargs: Any) -> TestResponse:
        return self.open("GET", page, **kwargs)

    def post(
        self, page: str, fields: dict[str, Any], *, form: str | None = None, at: str | None = None
    ) -> TestResponse:
        """Send a form. Without `form`, its token is taken from the page `at`, or from the page itself."""
        token = self.token(at or page) if form is None else form
        return self.open("POST", page, data={"form": token, **fields})

    def open(self, method: str, page: str, **kwargs: Any) -> TestResponse:
        environ = self.environ | kwargs.pop("environ_overrides", {})
        return self.client.open(
            f"/ui/{page}" if page else "/ui",
            method=method,
            base_url=self.base_url,
            environ_overrides=environ,
            **kwargs,
        )

    def token(self, page: str) -> str:
        """The token of the last form on a page."""
        return tokens(self.get(page))[-1]

    def sign_in(self, key: str = ADMIN_KEY, **fields: str) -> TestResponse:
        return self.post("sign-in", {"key": key, **fields})


def tokens(response: TestResponse) -> list[str]:
    return TOKEN.findall(response.text)


def leads_to(response: TestResponse) -> str:
    """Where a redirect leads, as a browser resolves it."""
    assert response.status_code in {302, 303}, response.text
    return urljoin(f"{ORIGIN}{response.request.path}", response.headers["Location"]).removeprefix(ORIGIN)


def text(response: TestResponse) -> str:
    """The words of a page, without its tags."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", response.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def values(response: TestResponse) -> dict[str, str]:
    """The fields of a page's forms that have a value."""
    found = re.findall(r'<input id="([^"]+)"[^>]*? value="([^"]*)"', response.text)
    return {unescape(name): unescape(value) for name, value in found}
