"""The list is loaded once, in a thread. Without the list, only the overrides are used."""

from datetime import date
from threading import Event
from types import SimpleNamespace

import pytest

from governance.domain.errors import Code, Unavailable
from governance.domain.pricing.listed import ListInfo, ListStatus
from governance.domain.times import DAY, parse_rfc3339
from governance.services.pricing import price_list
from governance.services.pricing.price_list import PriceList

MODULE = SimpleNamespace(
    VERSION="9.9", dates=lambda: (date(2026, 1, 1),), find=lambda *_: None, page=lambda *_: ([], 0)
)


def test_it_is_loaded_once_however_many_wait():
    asked = []
    found = PriceList(lambda: asked.append(1) or MODULE)
    assert (found.is_final, found.info.status) == (False, ListStatus.LOADING)
    for _ in range(3):
        found.start()
        found.wait()
    assert (asked, found.is_final) == ([1], True)
    assert found.info == ListInfo(ListStatus.LOADED, "9.9", (date(2026, 1, 1),))


def test_who_waits_too_long_is_told_to_try_again(monkeypatch):
    monkeypatch.setattr(price_list, "PATIENCE", 0.01)
    loads = Event()
    found = PriceList(lambda: loads.wait(30) and MODULE)
    with pytest.raises(Unavailable) as told:
        found.wait(0.01)
    assert told.value.code == Code.NOT_READY
    assert (found.find("a", "b"), list(found.prices("a", "b")), found.page(None, "", 0, 9)) == (None, [], ([], 0))
    loads.set()
    found.wait(30)


@pytest.mark.parametrize("trouble", [ImportError("gone"), SyntaxError("torn"), AttributeError("another version")])
def test_a_list_that_cannot_be_loaded_leaves_the_overrides(trouble, caplog):
    def load():
        raise trouble

    found = PriceList(load)
    found.wait()
    assert found.info == ListInfo(ListStatus.FAILED)
    assert found.prices("openai", "gpt-4o") == ()
    assert "the list of prices could not be loaded" in caplog.text


def test_the_newest_price_is_the_last_that_has_begun():
    info = ListInfo(ListStatus.LOADED, "1", (date(2026, 1, 1), date(2026, 11, 26), date(2027, 1, 1)))
    noon = parse_rfc3339("2026-11-26T12:00:00Z")
    assert info.newest(noon) == date(2026, 11, 26)
    assert info.newest(noon - DAY) == date(2026, 1, 1)
    assert info.newest(parse_rfc3339("2025-01-01T00:00:00Z")) is None
