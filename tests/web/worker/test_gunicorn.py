"""The parts of gunicorn that the worker uses beyond the documentation.

If one changes, a person must check the worker.
"""

import inspect
from hashlib import sha256
from typing import Any

import pytest
from gunicorn import http, util
from gunicorn.config import Config
from gunicorn.http import parser, unreader, wsgi
from gunicorn.http.message import Message
from gunicorn.workers import base, gthread

from governance.web.worker.loop import PeerLoop
from governance.web.worker.worker import Worker

RELIED_ON: dict[Any, str] = {
    # the loop, the pool, the steps between them, and the steps of a stop
    gthread.ThreadWorker.__init__: "5681b8b542ea",
    gthread.ThreadWorker.init_process: "e4fc63a1a68e",
    gthread.ThreadWorker.run: "f92c7394d857",
    gthread.ThreadWorker.set_accept_enabled: "140150ebfd3c",
    gthread.ThreadWorker.wait_for_and_dispatch_events: "ea969b352482",
    gthread.ThreadWorker.enqueue_req: "c9f428953d24",
    gthread.ThreadWorker.handle_exit: "b4e7decd4f92",
    gthread.PollableMethodQueue: "5b4a78bd3cfb",
    base.Worker.init_process: "114caccd7a0e",
    # overridden, although gunicorn does not offer it: gunicorn must call these methods as before, and as often
    gthread.ThreadWorker.check_config: "677dafbcca4e",
    gthread.ThreadWorker.accept: "f8dcead3dce5",
    gthread.ThreadWorker.handle: "ca85c9be3df7",
    gthread.ThreadWorker.finish_request: "616e7bb15a00",
    gthread.ThreadWorker.murder_keepalived: "4459960c4ccc",
    base.Worker.handle_error: "75426448389b",
    # a request is parsed from received bytes, and its response is written to an object that has `sendall`
    gthread.ThreadWorker.handle_request: "6d0de5b91910",
    http.get_parser: "b7d8dcde91e2",
    parser.Parser: "3a9c06e348c7",
    unreader.Unreader: "84aaa8f91fcd",
    unreader.IterUnreader: "fa4b976b31bd",
    Message.set_body_reader: "e3ba33f5ac7c",
    Message.should_close: "37c454bfb3e3",
    wsgi.create: "2c35d4a2dc62",
    wsgi.Response: "d67f8e6b29d7",
    util.write: "cd995031295f",
    util.write_chunk: "9cd46540c593",
    util.close_graceful: "0e5925bfc017",
}
"""The start of the SHA-256 of each part's source, at the time when it was checked."""
OVERRIDDEN = {
    "__init__",
    "check_config",
    "run",
    "accept",
    "handle",
    "handle_error",
    "finish_request",
    "murder_keepalived",
}


@pytest.mark.parametrize(("read", "known"), RELIED_ON.items(), ids=[each.__qualname__ for each in RELIED_ON])
def test_what_is_relied_on_is_as_it_was_read(read: Any, known: str):
    now = sha256(inspect.getsource(read).encode()).hexdigest()[:12]
    assert now == known, f"Read gunicorn's {read.__qualname__} anew and see whether governance/web/worker still fits."


def test_the_worker_overrides_what_is_there_and_nothing_by_accident():
    theirs = {name for name in dir(gthread.ThreadWorker) if name not in dir(object)} | {"__init__"}
    made = gthread.ThreadWorker(1, 1, [], None, 1, Config(), None)
    made.tmp.close()
    theirs |= set(vars(made))
    defined = (vars(PeerLoop) | vars(Worker)).items()
    ours = {name for name, value in defined if callable(value) or isinstance(value, classmethod)}
    assert ours & theirs == OVERRIDDEN
    assert not {"waits", "next_tick", "refusals", "is_stopping", "serve_with"} & theirs
