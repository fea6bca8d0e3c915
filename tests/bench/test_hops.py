"""Entered functions are counted by name, in every thread, and only in the project."""

import sys
import threading
from importlib import util
from pathlib import Path

import pytest

from bench import hops
from bench.hops import Function, Recorder

TINY = """
import json
from threading import Thread

def answer():
    worker = Thread(target=write)
    worker.start()
    worker.join()
    json.dumps([double(number) for number in (1, 2)])
    return (lambda: double(3))()

def double(number):
    return 2 * number

def write():
    double(1)

def other():
    pass
"""


@pytest.fixture
def tiny(tmp_path: Path):
    """Return an app of three functions, in a folder of its own."""
    (tmp_path / "app.py").write_text(TINY)
    spec = util.spec_from_file_location("tiny", tmp_path / "app.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recorder_lists_named_functions_of_all_threads(tiny, tmp_path):
    with Recorder(tmp_path) as recorder:
        found = recorder.entered(tiny.answer)
    assert found == [Function("app.py", 5, "answer"), Function("app.py", 15, "write"), Function("app.py", 12, "double")]


def test_recorder_notes_nothing_between_two_acts(tiny, tmp_path):
    with Recorder(tmp_path) as recorder:
        tiny.other()
        assert recorder.entered(tiny.write) == recorder.entered(tiny.write)


def test_recorder_leaves_no_profile_behind(tmp_path):
    with Recorder(tmp_path):
        pass
    assert sys.getprofile() is threading.getprofile() is None


def test_measure_follows_five_requests_into_the_writer():
    found = hops.measure(hops.ROOT)
    assert list(found) == ["new page", "database page", "create", "reserve", "settle"]
    for name, them in found.items():
        assert len({each.file for each in them}) > 10, name
    for name in ("reserve", "settle"):
        assert any("storage/sqlite/writer" in each.file for each in found[name])
    assert hops.summary(found).count("\n") == 6
