"""Measures how long the server needs for each page of the dashboard (`make bench-dashboard`).

The database contains 100,000 limits, and a month of usage (`bench/usage.py`). The usage belongs to 20 models and 200
virtual keys (keys that identify callers). The app runs in this process, so the times include no network and no browser.
`CPU ms` is the processor time. Other processes disturb it less than the elapsed time (`ms`). `bytes` is the size of the
page before compression.
"""

import argparse
import re
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time
from typing import Any

from flask import Flask

from bench import data, usage
from bench.in_process import KEY, in_process
from bench.results import table
from bench.rounds import tell
from bench.usage import NOW
from governance.container import EXTENSION, Container
from governance.settings import Settings

LIMITS, KEYS, TIMES = 100_000, 200, 20
PAGES = {
    "overview": "",
    "limits": "limits",
    "limits, 50 rows": "limits?limit=50",
    "limits, a page in the middle": "limits?offset=50000",
    "limits by usage": "limits?sort_by=usage",
    "limits with a search": "limits?search=gpt",
    "virtual keys": "virtual-keys",
    "users": "users",
    "prices": "prices",
    "reservations": "reservations",
    "audit": "audit",
    "API keys": "api-keys",
    "health": "health",
}
TOKEN = re.compile(r'name="form" value="([^"]+)"')
LIMIT = re.compile(r'href="(?:\./)?(limit\?id=[0-9a-f-]{36})"')
HEAD = ("page", "ms", "worst ms", "CPU ms", "bytes")


def main() -> None:
    """Fill a database, measure each page, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the limits, and a tenth of the keys")
    part = 10 if parser.parse_args().quick else 1

    def create(settings: Settings) -> None:
        data.fill(settings.database_path, LIMITS // part**2, NOW)

    def fill(service: Container) -> None:
        usage.fill(service.database, KEYS // part)

    with TemporaryDirectory(prefix="bench-") as folder, in_process(Path(folder), create, fill) as app:
        app.extensions[EXTENSION].price_list.start()
        client = _signed_in(app)
        first = LIMIT.search(_page(client, "limits"))
        pages = PAGES | ({"one limit": first[1]} if first else {})
        print(table(HEAD, [_row(client, name, path) for name, path in pages.items()]))


def _row(client: Any, name: str, path: str) -> tuple[str, ...]:
    tell(name)
    spent, worked, size = [], [], 0
    for _ in range(TIMES):
        began, began_work = perf_counter(), thread_time()
        size = len(_page(client, path).encode())
        worked.append(thread_time() - began_work)
        spent.append(perf_counter() - began)
    figures = (f"{each * 1000:.1f}" for each in (median(spent), max(spent), median(worked)))
    return name, *figures, f"{size:,}"


def _page(client: Any, path: str) -> str:
    answer = client.get(f"/ui/{path}" if path else "/ui")
    if answer.status_code != 200:  # noqa: PLR2004
        raise RuntimeError(f"/ui/{path} was answered with {answer.status}")
    return str(answer.text)


def _signed_in(app: Flask) -> Any:
    client = app.test_client()
    token = TOKEN.search(client.get("/ui/sign-in").text)
    if token is None:
        raise RuntimeError("the page to sign in has no token")
    client.post("/ui/sign-in", data={"form": token[1], "key": KEY})
    return client


if __name__ == "__main__":
    main()
