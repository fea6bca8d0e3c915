"""The real Python clients of OpenAI and Anthropic, behind one small interface."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai

from tests.gateways.table import MODELS, Row

MAX_TOKENS = 50
TIMEOUT = 20.0


@dataclass
class Client:
    """A client that calls through a proxy; `sent` counts its requests, retries too."""

    provider: str
    model: str
    library: Any
    sent: list[str] = field(default_factory=list)

    @property
    def errors(self) -> Any:
        """The module with the client's own exceptions."""
        return openai if self.provider == "openai" else anthropic

    def ask(self, text: str, *, model: str | None = None, headers: dict[str, str] | None = None) -> str:
        """The text of an answer."""
        messages = [{"role": "user", "content": text}]
        options = {"model": model or self.model, "max_tokens": MAX_TOKENS, "extra_headers": headers}
        if self.provider == "openai":
            return str(self.library.chat.completions.create(messages=messages, **options).choices[0].message.content)
        return str(self.library.messages.create(messages=messages, **options).content[0].text)

    def stream(self, text: str) -> Iterator[str]:
        """The pieces of an answer, as they arrive."""
        messages = [{"role": "user", "content": text}]
        options: dict[str, Any] = {"model": self.model, "max_tokens": MAX_TOKENS, "stream": True, "messages": messages}
        if self.provider == "openai":
            chunks = self.library.chat.completions.create(stream_options={"include_usage": True}, **options)
            yield from (
                each.choices[0].delta.content for each in chunks if each.choices and each.choices[0].delta.content
            )
        else:
            events = self.library.messages.create(**options)
            yield from (each.delta.text for each in events if each.type == "content_block_delta")


def client(row: Row, url: str, provider: str, key: str, *, max_retries: int = 0) -> Client:
    """A client as its documentation makes one, with the proxy as its base URL and a virtual key as its key."""
    library = {"openai": openai, "anthropic": anthropic}[provider]
    made = Client(provider, MODELS[provider], None)
    hooks = {"request": [lambda request: made.sent.append(str(request.url))]}
    route = "" if row.sees_body else f"/{made.model}"
    made.library = (library.OpenAI if provider == "openai" else library.Anthropic)(
        base_url=f"{url}{route}/v1" if provider == "openai" else f"{url}{route}",
        api_key=key,
        max_retries=max_retries,
        timeout=TIMEOUT,
        http_client=library.DefaultHttpxClient(event_hooks=hooks),
    )
    return made
