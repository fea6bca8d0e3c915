"""Commands as a terminal runs them, on the app of the other tests."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

Run = Callable[..., Result]
Asked = Callable[..., dict[str, Any]]


@pytest.fixture
def run(app: Flask) -> Run:
    """Runs `flask governance …`; a traceback fails the test."""

    def invoke(*words: str, **options: Any) -> Result:
        result = app.test_cli_runner().invoke(args=["governance", *words], **options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def done(run: Run) -> Callable[..., str]:
    """What a command prints that ends well and has nothing to add."""

    def invoke(*words: str, **options: Any) -> str:
        result = run(*words, **options)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    return invoke


@pytest.fixture
def asked(done: Callable[..., str]) -> Asked:
    """The object that a command prints with --json."""

    def invoke(*words: str) -> dict[str, Any]:
        return dict(json.loads(done(*words, "--json")))

    return invoke


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """What a command says on standard error that ends with exit code 1, and prints nothing else."""

    def invoke(*words: str) -> str:
        result = run(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        return result.stderr.rstrip("\n")

    return invoke
