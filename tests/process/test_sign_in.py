"""Attempts to sign in to the dashboard, which two workers count together."""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.process.service import DEADLINE, Service

pytestmark = pytest.mark.process

WRONG = "gov-nobody-has-this-key-0123456789abcdef"


class Visitor:
    """A browser that has opened the page to sign in, behind a proxy that names its address."""

    def __init__(self, service: Service, address: str) -> None:
        self.port = service.port
        self.headers = {"X-Forwarded-For": address, "Connection": "close"}
        _, headers, page = self._ask("GET", "")
        self.headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]
        self.form = re.search(r'name="form" value="([^"]+)"', page)[1]

    def sign_in(self, key: str) -> tuple[int, dict[str, str]]:
        """Try to sign in. Return the status and the headers of the answer."""
        self.headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self._ask("POST", urlencode({"form": self.form, "key": key}))[:2]

    def _ask(self, method: str, body: str) -> tuple[int, dict[str, str], Any]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request(method, "/ui/sign-in", body, self.headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()


@pytest.fixture
def two(service: Callable[..., Service]) -> Service:
    return service(WEB_CONCURRENCY="2", GOVERNANCE_TRUSTED_PROXIES="127.0.0.1/32").start()


def test_eleventh_wrong_key_is_refused_by_both_workers(two):
    visitor, other = Visitor(two, "198.51.100.1"), Visitor(two, "198.51.100.2")
    for worker in two.workers:
        with two.only(worker):
            assert [visitor.sign_in(WRONG)[0] for _ in range(5)] == [401] * 5
    for worker in two.workers:
        with two.only(worker):
            status, headers = visitor.sign_in(two.key)
            assert status == 429
            assert 0 < int(headers["Retry-After"]) <= 60
    assert other.sign_in(two.key)[0] == 303


def test_simultaneous_wrong_keys_are_counted_exactly(two):
    visitor = Visitor(two, "198.51.100.1")
    with ThreadPoolExecutor(12) as threads:
        statuses = Counter(status for status, _ in threads.map(visitor.sign_in, [WRONG] * 36))
    assert statuses == {401: 10, 429: 26}
