"""A model server for the tests: OpenAI's chat completions and Anthropic's messages, with streams and errors.

The last message says what it does: `Fail 503` answers with that status, `Once 503` does so for the first request with
the same last message, `Long 5` answers with five million letters, `Break` ends a stream after its first chunk, `Close`
sends a stream whose end is the end of the connection, `Vanish` closes a connection without an answer, `Wait` answers
after `go_on`; anything else gets an ordinary answer at once. A stream's second chunk waits for `go_on`.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import IPPROTO_TCP, TCP_CORK
from threading import Event, Thread
from typing import Any, NamedTuple

PATIENCE = 10.0
"""Seconds that a stream waits for its reader."""
FIRST, SECOND = "Hel", "lo"
OPENAI_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
ANTHROPIC_USAGE = {"input_tokens": 13, "output_tokens": 5}


class ModelRequest(NamedTuple):
    """A request as it reached the upstream; names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class ModelServer(ThreadingHTTPServer):
    """Serves on a port of its own until `stop`."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ModelHandler)
        self.requests: list[ModelRequest] = []
        self.go_on = Event()
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a proxy may close a connection at any time."""


class ModelHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(ModelRequest(self.path, headers, body))
        openai = self.path.partition("?")[0].endswith("/chat/completions")
        word, _, argument = last_text(body).partition(" ")
        if word == "Vanish" or (word == "Wait" and not self.server.go_on.wait(PATIENCE)):
            self.close_connection = True
        elif word == "Fail" or (word == "Once" and self._is_first(body)):
            self._send(
                int(argument.partition(" ")[0]),
                {"type": "error", "error": {"type": "overloaded", "message": "Overloaded"}},
            )
        elif body.get("stream"):
            events = openai_events(body, word, argument) if openai else anthropic_events(word, argument)
            self._stream(events, breaks=word == "Break", is_chunked=word != "Close")
        else:
            text = letters(argument) if word == "Long" else FIRST + SECOND
            self._send(200, openai_answer(text) if openai else anthropic_answer(text))

    def _is_first(self, body: dict[str, Any]) -> bool:
        last = body["messages"][-1]
        return sum(each.body["messages"][-1] == last for each in self.server.requests) == 1

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, events: Iterator[str | None], *, breaks: bool, is_chunked: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header(*(("Transfer-Encoding", "chunked") if is_chunked else ("Connection", "close")))
        self.end_headers()
        for event in events:
            if event is None:
                if not self.server.go_on.wait(PATIENCE) or breaks:
                    self.close_connection = True
                    return
                self._cork(True)
                continue
            content = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content) if is_chunked else content)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")
            self._cork(False)

    def _cork(self, held: bool) -> None:
        """Hold back what is written while `held`, so that a stream's last event and its end arrive together.

        A client closes its connection at `[DONE]`. If the end came later, the proxy would see a client that left.
        """
        self.connection.setsockopt(IPPROTO_TCP, TCP_CORK, held)


def last_text(body: dict[str, Any]) -> str:
    """Return the text of the last message, which may be a list of parts."""
    content = body["messages"][-1]["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def letters(millions: str) -> str:
    return "x" * int(float(millions) * 1_000_000)


def texts(word: str, argument: str) -> Iterator[str | None]:
    """The pieces of a stream; None is a pause until the reader has what came before."""
    yield FIRST
    yield None
    yield from [letters("0.1")] * int(float(argument) * 10) if word == "Long" else [SECOND]


def openai_answer(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    common = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    return {**common, "choices": [choice], "usage": OPENAI_USAGE}


def openai_events(body: dict[str, Any], word: str, argument: str) -> Iterator[str | None]:
    def chunk(**fields: Any) -> str:
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
        return f"data: {json.dumps({**common, **fields})}\n\n"

    for text in texts(word, argument):
        yield text and chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], usage=None)
    yield chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None)
    if body.get("stream_options", {}).get("include_usage"):
        yield chunk(choices=[], usage=OPENAI_USAGE)
    yield "data: [DONE]\n\n"


def anthropic_answer(text: str) -> dict[str, Any]:
    common = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5"}
    ends = {"stop_reason": "end_turn", "stop_sequence": None}
    return {**common, **ends, "content": [{"type": "text", "text": text}], "usage": ANTHROPIC_USAGE}


def anthropic_events(word: str, argument: str) -> Iterator[str | None]:
    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

    start = {
        **anthropic_answer(""),
        "content": [],
        "stop_reason": None,
        "usage": {**ANTHROPIC_USAGE, "output_tokens": 1},
    }
    yield event("message_start", message=start)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for text in texts(word, argument):
        yield text and event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    yield event("content_block_stop", index=0)
    ends = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=ends, usage={"output_tokens": ANTHROPIC_USAGE["output_tokens"]})
    yield event("message_stop")
