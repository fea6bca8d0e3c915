"""A stand-in for a model: it answers every call with the same words and usage, and costs nothing.

It knows OpenAI's chat completions and Anthropic's messages, without streams. GET says that it is there.
"""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 8000
TEXT = "I am a stand-in, not a model."


def openai(model: str) -> dict[str, Any]:
    """Return an answer to /v1/chat/completions."""
    message = {"role": "assistant", "content": TEXT}
    usage = {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 20}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    common = {"id": "chatcmpl-stand-in", "object": "chat.completion", "created": 0, "model": model}
    return {**common, "choices": [choice], "usage": usage}


def anthropic(model: str) -> dict[str, Any]:
    """Return an answer to /v1/messages."""
    common = {"id": "msg_stand_in", "type": "message", "role": "assistant", "model": model}
    content = [{"type": "text", "text": TEXT}]
    return {**common, "content": content, "stop_reason": "end_turn", "usage": {"input_tokens": 11, "output_tokens": 9}}


class StandIn(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say that it is there."""
        self._answer({"status": "ok"})

    def do_POST(self) -> None:
        """Answer a call."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = anthropic if self.path.startswith("/v1/messages") else openai
        self._answer(answer(body.get("model", "")))

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default handler
    ThreadingHTTPServer(("0.0.0.0", PORT), StandIn).serve_forever()  # noqa: S104 - the network is its container's
