"""A body that ends before its declared length is refused with 400 and changes nothing."""

from io import BytesIO

import pytest
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, LimitRequestHeaders, NoMoreData

CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}


class Failing(BytesIO):
    """A body that raises an error when it is read."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, *_):
        raise self.error


@pytest.fixture
def held(api):
    """Return the path of an open reservation of 5 dollars."""
    api.create(budget={"max_limit": 100, "reset_duration": "1d"})
    answer = api.post("reservations", {"model": "gpt-4o", "cost": 5})
    return f"reservations/{answer.get_json()['reservation']['id']}"


def refused(answer) -> None:
    error = answer.get_json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request", "malformed_request")


def status(api, path: str) -> str:
    return api.get(path).get_json()["reservation"]["status"]


@pytest.mark.parametrize("act", ["settle", "release", "extend"])
@pytest.mark.parametrize("text", [b"", b"{}", b'{"cost":1}'])
def test_a_short_body_is_refused_and_the_reservation_stays_open(api, held, act, text):
    before = api.get(held).text
    refused(api.post(f"{held}/{act}", input_stream=BytesIO(text), environ_overrides={"CONTENT_LENGTH": "27"}))
    assert api.get(held).text == before


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("timed out"),
        NoMoreData(b""),
        InvalidChunkSize(b"zz"),
        ChunkMissingTerminator(b"ab"),
        LimitRequestHeaders("limit request trailer section size"),
    ],
)
@pytest.mark.parametrize("act", ["settle", "release"])
def test_a_body_that_cannot_be_read_is_refused_and_changes_nothing(api, held, act, error):
    refused(api.post(f"{held}/{act}", input_stream=Failing(error), environ_overrides=CHUNKED))
    assert status(api, held) == "open"


def test_a_delete_with_a_short_body_deletes_nothing(api):
    path = f"model-configs/{api.create()['id']}"
    refused(api.delete(path, input_stream=BytesIO(b"{"), environ_overrides={"CONTENT_LENGTH": "2"}))
    assert api.get(path).status_code == 200


@pytest.mark.parametrize("length", ["1048577", "9" * 12, "9" * 5000])
def test_a_declared_length_above_a_mebibyte_is_refused_before_a_byte_is_read(api, held, length):
    answer = api.post(
        f"{held}/settle", input_stream=Failing(AssertionError()), environ_overrides={"CONTENT_LENGTH": length}
    )
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (413, "body_too_large")
    assert status(api, held) == "open"


def test_a_settle_without_a_body_still_settles_at_the_estimate(api, held):
    assert api.post(f"{held}/settle").get_json()["reservation"]["status"] == "settled"
