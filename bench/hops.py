"""Counts the functions and files of the project that run during a request, in a warm worker (`make bench-hops`).

A worker is warm after it has answered the same kind of request several times. The named functions of `app.py`,
`governance/` and `schemas/` are counted, in all threads. A function that runs several times is counted once. Counting
starts with the WSGI call, and ends when the thread that writes to the database has finished. Comprehensions and lambdas
are not counted separately from the function around them. Libraries, methods that a dataclass generates, and the
gunicorn worker are not counted. The request `new page` reads a page from memory, with limits that no earlier response
contained.

To *reserve* is to ask before a call to a model whether the call is within its limits. To *settle* is to report the real
usage after that call.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from types import FrameType
from typing import Any, NamedTuple, Self

from bench.results import table

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ("app.py", "governance/", "schemas/")
KEY = "gov-the-key-of-the-bench-0123456789abcdef"
WARM = 5
"""Each request is sent this many times before it is recorded."""
PAGE = 10
LIMITS = PAGE * (WARM + 1)
REST = 0.1
"""The seconds for which recording continues after a response, so that the writer thread can finish its work."""
BUDGET = {"max_limit": 1_000_000, "reset_duration": "1d"}
TOKENS = {"token_max_limit": 1_000_000_000, "token_reset_duration": "1h"}
TIERS = (("the-model", "the-provider"), ("the-model", None), ("*", "the-provider"), ("*", None))
CALL = {"model": "the-model", "provider": "the-provider", "tokens": 1000, "cost": 0.001}
USAGE = {"tokens": 900, "cost": 0.0009}
HEAD = ("in a warm worker", "functions", "files")


class Function(NamedTuple):
    """A function that was called: its file in the project, its first line and its name."""

    file: str
    line: int
    name: str


class Recorder:
    """Records the functions of a project that are called in this thread, and in all threads that are started later."""

    def __init__(self, tree: Path) -> None:
        self._folder = f"{tree}/"
        self._entered: dict[Function, None] | None = None

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        threading.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def entered(self, act: Callable[[], object]) -> list[Function]:
        """Return the functions that run during a call of `act`, in the order of their first call."""
        self._entered = found = dict[Function, None]()
        try:
            act()
            sleep(REST)
        finally:
            self._entered = None
        return list(found)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        entered, code = self._entered, frame.f_code
        if entered is None or event != "call" or code.co_name.startswith("<"):
            return
        file = code.co_filename.removeprefix(self._folder)
        if file.startswith(PROJECT):
            entered[Function(file, code.co_firstlineno, code.co_qualname)] = None


class Requests:
    """The requests to record. Each request can be sent many times."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._numbers, self._pages = count(), count()
        self._reserved: list[str] = []

    def store_limits(self) -> None:
        """Create four limits (with eight counters) that apply to every call, and other limits that are only listed."""
        for model, provider in TIERS:
            body = {"model_name": model, "provider": provider, "budgets": [BUDGET], "rate_limits": [TOKENS]}
            self._send("POST", "model-configs", body)
        for _ in range(LIMITS - len(TIERS)):
            self.create()

    def by_name(self) -> Mapping[str, Callable[[], None]]:
        """Return all requests by name. Each settle needs a reservation, so the settle comes after the reservations."""
        return {
            "new page": self.new_page,
            "database page": self.database_page,
            "create": self.create,
            "reserve": self.reserve,
            "settle": self.settle,
        }

    def create(self) -> None:
        """Create a new limit with one budget."""
        self._send("POST", "model-configs", {"model_name": f"model-{next(self._numbers)}", "budgets": [BUDGET]})

    def reserve(self) -> None:
        """Send a reservation for a call to which four limits apply. The call is the same each time."""
        self._reserved.append(self._send("POST", "reservations", CALL)["reservation"]["id"])

    def settle(self) -> None:
        """Settle the last reservation. The reported usage is less than the reserved amounts."""
        self._send("POST", f"reservations/{self._reserved.pop()}/settle", USAGE)

    def database_page(self) -> None:
        """Read the first page from the database."""
        self._send("GET", "model-configs")

    def new_page(self) -> None:
        """Read the next page from memory."""
        self._send("GET", f"model-configs?from_memory=true&limit={PAGE}&offset={PAGE * next(self._pages)}")

    def _send(self, method: str, path: str, body: object = None) -> Any:
        sent = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = self._client.open(f"/api/governance/{path}", method=method, headers=headers, **sent)
        if answer.status_code != 200:  # noqa: PLR2004
            raise ValueError(f"{method} {path} was answered with {answer.status_code}: {answer.text}")
        return answer.get_json()


def measure(tree: Path) -> dict[str, list[Function]]:
    """Return the functions that run during each request. `tree` is the folder in which `import app` finds `app.py`."""
    with Recorder(tree) as recorder, _served() as client:
        requests = Requests(client)
        requests.store_limits()
        return {name: _warm(send, recorder) for name, send in requests.by_name().items()}


def _warm(send: Callable[[], None], recorder: Recorder) -> list[Function]:
    for _ in range(WARM):
        send()
    return recorder.entered(send)


@contextmanager
def _served() -> Iterator[Any]:
    """Yield a test client of the app on a new database.

    The app is imported from the first folder of `sys.path`.
    """
    with TemporaryDirectory(prefix="bench-") as folder:
        settings = import_module("governance.settings").Settings(instance=folder, admin_key=KEY)
        app = import_module("app").create_app(settings)
        import_module("governance.startup").prepare(app)
        try:
            yield app.test_client()
        finally:
            app.extensions["governance"].close()


def summary(found: Mapping[str, Sequence[Function]]) -> str:
    """Return a table with the number of functions and files that run during each request."""
    rows = [[name, f"{len(them)}", f"{len({each.file for each in them})}"] for name, them in found.items()]
    return table(HEAD, rows)


def main() -> None:
    """Print the table. With `--list`, print the functions of one request instead, in the order of their first call."""
    parser = argparse.ArgumentParser(prog="python -m bench.hops", description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, metavar="FOLDER", help="a checkout, of an older commit too")
    parser.add_argument("--list", metavar="REQUEST", help="the functions that this request enters, in order")
    arguments = parser.parse_args()
    tree = arguments.tree.resolve()
    sys.path.insert(0, str(tree))
    found = measure(tree)
    if arguments.list is None:
        print(summary(found))
    elif arguments.list in found:
        print("\n".join(f"{each.file}:{each.line} {each.name}" for each in found[arguments.list]))
    else:
        parser.error(f"there is no request {arguments.list}: the requests are {', '.join(found)}")


if __name__ == "__main__":
    main()
