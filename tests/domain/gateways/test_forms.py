"""The amounts that a request allows, by the form of its path."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.errors import InvalidRequest
from governance.domain.gateways import forms
from governance.domain.gateways.inputs import TOOLS_PROMPT
from governance.domain.gateways.model_call import HoldSizes

SIZES = HoldSizes(outside_input=500, output=4096)
HELLO = [{"role": "user", "content": "Hello"}]


def read(path, body):
    form, model = forms.form_of(path)
    data = json.dumps(body).encode()
    return forms.read(data, form, model, SIZES), len(data)


@pytest.mark.parametrize(
    ("path", "body", "model", "provider", "output"),
    [
        ("/v1/chat/completions", {"model": "gpt-4o", "messages": HELLO, "max_tokens": 9}, "gpt-4o", "openai", 9),
        (
            "/v1/chat/completions",
            {"model": "gpt-4o", "max_tokens": 9, "max_completion_tokens": 20, "n": 3},
            "gpt-4o",
            "openai",
            60,
        ),
        ("/v1/chat/completions", {"model": "deepseek/chat", "max_tokens": 9}, "deepseek/chat", None, 9),
        ("/v1/completions", {"model": "m", "prompt": ["a", "b"], "max_tokens": 5, "best_of": 2}, "m", "openai", 20),
        ("/v1/completions", {"model": "m", "prompt": [1, 2, 3], "max_tokens": 5}, "m", "openai", 5),
        ("/openai/v1/responses", {"model": "o3", "input": "Hi", "max_output_tokens": 7}, "o3", "openai", 7),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hi"}, "text-embedding-3-small", "openai", 0),
        (
            "/openai/deployments/my-gpt/chat/completions",
            {"messages": HELLO, "max_tokens": 3},
            "my-gpt",
            "azure",
            3,
        ),
        (
            "/v1/messages",
            {"model": "claude-opus-4-1", "max_tokens": 8, "messages": HELLO},
            "claude-opus-4-1",
            "anthropic",
            8,
        ),
        (
            "/v1beta/models/gemini-2.5-pro:generateContent",
            {
                "contents": [{"parts": [{"text": "Hi"}]}],
                "generationConfig": {"maxOutputTokens": 6, "candidateCount": 2},
            },
            "gemini-2.5-pro",
            "gemini",
            12,
        ),
        (
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            {"generation_config": {"max_output_tokens": 6}},
            "gemini-2.5-pro",
            "gemini",
            6,
        ),
        ("/v1beta/models/gemini-embedding-001:embedContent", {"content": {}}, "gemini-embedding-001", "gemini", 0),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4@20250514:rawPredict",
            {"max_tokens": 4, "messages": HELLO},
            "claude-opus-4@20250514",
            "vertex",
            4,
        ),
        (
            "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
            {"messages": [], "inferenceConfig": {"maxTokens": 5}},
            "anthropic.claude-3-haiku-20240307-v1:0",
            "bedrock",
            5,
        ),
        (
            "/model/arn:aws:bedrock:us-east-1:1:provisioned-model%2Fabc/invoke",
            {"prompt": "Hi", "max_gen_len": 11},
            "arn:aws:bedrock:us-east-1:1:provisioned-model/abc",
            "bedrock",
            11,
        ),
        ("//v1//chat/completions/", {"model": "m", "max_tokens": 1}, "m", "openai", 1),
        ("/V1/Chat/Completions", {"model": "m", "max_tokens": 1}, "m", "openai", 1),
    ],
)
def test_a_request_of_each_form_is_read(path, body, model, provider, output):
    found, size = read(path, body)
    assert (found.model, found.provider, found.output_tokens, found.is_bound) == (model, provider, output, True)
    assert found.input_tokens == size


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/images/generations", "/", "", "/v1/chat/completions/x", "/messages2"]
)
def test_other_paths_are_of_no_form(path):
    assert forms.form_of(path) is None


def test_without_a_maximum_the_usual_output_is_held_and_it_is_an_assumption():
    found, _ = read("/v1/chat/completions", {"model": "m", "n": 2})
    assert (found.output_tokens, found.is_bound) == (2 * 4096, False)


IMAGE = "data:image/png;base64," + "A" * 5000


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/v1/chat/completions", {"messages": [{"content": [{"type": "image_url", "image_url": {"url": IMAGE}}]}]}),
        (
            "/v1/chat/completions",
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]},
        ),
        ("/v1/chat/completions", {"messages": [{"content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
        ("/v1/responses", {"previous_response_id": "resp_1"}),
        ("/v1/responses", {"input": [{"content": [{"type": "input_image", "image_url": IMAGE}]}]}),
        ("/v1/responses", {"tools": [{"type": "web_search"}]}),
        ("/v1/responses", {"prompt": {"id": "pmpt_1"}}),
        (
            "/v1/messages",
            {"messages": [{"content": [{"type": "image", "source": {"type": "base64", "data": "A" * 5000}}]}]},
        ),
        (
            "/v1/messages",
            {"messages": [{"content": [{"type": "document", "source": {"type": "url", "url": "https://x"}}]}]},
        ),
        ("/v1/messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ("/v1beta/models/g:generateContent", {"contents": [{"parts": [{"inlineData": {"data": "A" * 5000}}]}]}),
        (
            "/v1beta/models/g:generateContent",
            {"contents": [{"parts": [{"fileData": {"mimeType": "a/b", "fileUri": "https://x"}}]}]},
        ),
        ("/v1beta/models/g:generateContent", {"cachedContent": "cachedContents/1"}),
        ("/v1beta/models/g:generateContent", {"tools": [{"googleSearch": {}}]}),
        ("/model/m/converse", {"messages": [{"content": [{"image": {"source": {"bytes": "A" * 5000}}}]}]}),
    ],
)
def test_input_that_is_no_text_in_the_body_is_assumed(path, inside):
    body = {"model": "m", "max_tokens": 1, "generationConfig": {"maxOutputTokens": 1}, **inside}
    found, size = read(path, body)
    tools = TOOLS_PROMPT if "tools" in inside else 0
    media = 5000 if "AAAA" in json.dumps(inside) else 0
    assert not found.is_bound
    assert size - media - 50 <= found.input_tokens - 500 - tools <= size - media


AGENT_DATA = {"data": "some words " * 500, "url": "https://x/y", "file_id": "f", "image_url": "https://x/z.png"}


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/v1/messages", {"messages": [{"content": [{"type": "tool_use", "name": "w", "input": AGENT_DATA}]}]}),
        ("/v1/messages", {"messages": [{"content": [{"type": "web_search_result", "url": "https://x"}]}]}),
        ("/v1/messages", {"metadata": {"conversation": "c", "container": "d"}}),
        ("/v1beta/models/g:generateContent", {"contents": [{"parts": [{"functionCall": {"args": AGENT_DATA}}]}]}),
        ("/model/m/converse", {"messages": [{"content": [{"toolUse": {"name": "w", "input": AGENT_DATA}}]}]}),
        ("/model/m/converse", {"messages": [{"content": [{"toolResult": {"content": [{"json": AGENT_DATA}]}}]}]}),
        ("/v1/chat/completions", {"messages": [{"annotations": [{"url_citation": {"url": "https://x"}}]}]}),
        ("/v1/chat/completions", {"response_format": {"json_schema": {"properties": AGENT_DATA}}}),
    ],
)
def test_the_json_of_tools_and_citations_is_text(path, inside):
    body = {"model": "m", "max_tokens": 1, "generationConfig": {"maxOutputTokens": 1}, **inside}
    found, size = read(path, body)
    assert (found.input_tokens, found.is_bound) == (size, True)


def test_each_input_outside_counts_once():
    url = {"type": "image", "source": {"type": "url", "url": "https://x"}}
    small = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    found, size = read("/v1/messages", {"model": "m", "max_tokens": 1, "messages": [{"content": [url, url, small]}]})
    assert (found.input_tokens, found.is_bound) == (size + 3 * 500 - len("iVBORw0KGgo="), False)
    items = [{"type": "item_reference", "id": "i"}, {"type": "input_file", "file_url": "https://x"}]
    found, size = read("/v1/responses", {"model": "m", "max_output_tokens": 1, "input": items})
    assert found.input_tokens == size + 2 * 500
    file = {"s3Location": {"uri": "s3://a/b"}}
    found, size = read("/model/m/converse", {"messages": [{"content": [{"video": {"source": file}}]}]})
    assert found.input_tokens == size + 500


def test_a_data_url_of_text_is_not_taken_off():
    url = "data:text/plain," + "some words " * 500
    found, size = read("/v1/responses", {"model": "m", "max_output_tokens": 1, "input": [{"image_url": url}]})
    assert (found.input_tokens, found.is_bound) == (size + 500, False)


def test_text_cannot_hide_as_media():
    text = "x" * 5000
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    found, size = read("/v1/messages", {"model": "m", "max_tokens": 1, "messages": [{"content": [document]}]})
    assert (found.input_tokens, found.is_bound) == (size, True)


def test_tools_of_the_caller_are_text_and_cost_the_providers_prompt():
    for tools in (
        [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"url": {"type": "string"}}}}}],
        [{"name": "f", "input_schema": {}}],
        [{"functionDeclarations": [{"name": "f"}]}],
    ):
        found, size = read("/v1/chat/completions", {"model": "m", "max_tokens": 1, "tools": tools})
        assert (found.input_tokens, found.is_bound) == (size + TOOLS_PROMPT, True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "body"),
        (b"{", "not valid JSON"),
        (b'{"model": "a", "model": "b"}', "once"),
        (b'{"model": "a\xff"}', "UTF-8"),
        (b"[]", "JSON object"),
        (b'{"messages": []}', "Name the model"),
        (b'{"model": 5}', "Name the model"),
        (b'{"model": " "}', "Name the model"),
        (b'{"model": "a\\u0000b"}', "visible characters"),
        (b'{"model": "a", "Model": "b"}', "Write model"),
        (b'{"model": "a", "MAX_TOKENS": 9}', "Write max_tokens"),
        ('{"model": "a", "max_to\u212aens": 9}'.encode(), "Write max_tokens"),
        (b'{"model": "a", "N": 9}', "Write n "),
        (b'{"model": "a", "max_tokens": "9"}', "whole number"),
        (b'{"model": "a", "max_tokens": -1}', "whole number"),
        (b'{"model": "a", "max_tokens": 1.5}', "whole number"),
        (b'{"model": "a", "max_tokens": true}', "whole number"),
        (b'{"model": "a", "n": 2e99}', "whole number"),
        (b'{"model": "a", "max_tokens": 1000000000000, "n": 2}', "at most"),
        (b'{"model": "a"} x', "not valid JSON"),
    ],
)
def test_what_cannot_be_read_without_doubt_is_refused(data, said):
    form, _ = forms.form_of("/v1/chat/completions")
    with pytest.raises(InvalidRequest, match=said):
        forms.read(data, form, None, SIZES)


def test_schemas_of_tools_may_be_nested_deeply():
    nested = {}
    for _ in range(60):
        nested = {"properties": {"a": nested}}
    read("/v1/chat/completions", {"model": "m", "tools": [{"type": "function", "function": {"parameters": nested}}]})


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
bodies = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_size=5,
)


@given(body=bodies, text=st.text())
def test_the_hold_is_never_less_than_the_bytes_of_the_text(body, text):
    found, _ = read("/v1/messages", {**body, "model": "m", "max_tokens": 3, "messages": [{"content": text}]})
    assert found.input_tokens >= len(text.encode())
    assert found.output_tokens >= 3
