"""Models that answer step by step: a test says when the next step comes."""

import json
import socket
from collections.abc import Iterable
from contextlib import closing
from threading import Event, Thread

from werkzeug.wrappers import Response

WAIT = 30.0

OPENAI = [
    {"choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": None},
    {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}},
]
ANTHROPIC = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 8, "cache_read_input_tokens": 0}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def event(data) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


class StepwiseModel:
    """A model that sends its second event only after `go_on` was called: whoever has the first can call it."""

    def __init__(self, events) -> None:
        self.events, self._go_on = [event(each) for each in events], Event()
        self.requests: list[dict] = []

    def go_on(self) -> None:
        self._go_on.set()

    def __call__(self, environ, start_response) -> Iterable[bytes]:
        self.requests.append(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        return Response(self._sent(), content_type="text/event-stream")(environ, start_response)

    def _sent(self) -> Iterable[bytes]:
        yield self.events[0]
        assert self._go_on.wait(WAIT), "the first event did not arrive before the second was sent"
        yield from self.events[1:]


class BrokenModel:
    """A model that answers each request with these bytes and closes the connection. As a context: its URL."""

    def __init__(self, head: str, sent: bytes) -> None:
        self._answer = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{head}\r\n\r\n".encode() + sent
        self._server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/v1/chat/completions"

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with closing(connection), connection.makefile("rb") as request:
            size = 0
            while (line := request.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            request.read(size)
            connection.sendall(self._answer)


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
