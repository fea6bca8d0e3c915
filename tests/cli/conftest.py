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
    """Return a function that runs `flask governance …`. A traceback fails the test."""

    def invoke(*words: str, **options: Any) -> Result:
        result = app.test_cli_runner().invoke(args=["governance", *words], **options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def done(run: Run) -> Callable[..., str]:
    """Return a function that returns the output of a command. It must end with exit code 0 and without a note."""

    def invoke(*words: str, **options: Any) -> str:
        result = run(*words, **options)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    return invoke


@pytest.fixture
def asked(done: Callable[..., str]) -> Asked:
    """Return a function that returns the object that a command prints with --json."""

    def invoke(*words: str) -> dict[str, Any]:
        return dict(json.loads(done(*words, "--json")))

    return invoke


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """Return a function that returns the message on standard error. The exit code must be 1, without other output."""

    def invoke(*words: str) -> str:
        result = run(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        return result.stderr.rstrip("\n")

    return invoke
