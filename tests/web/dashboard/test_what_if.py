"""The page that asks what a limit would have done: how many calls it would have refused, and whose."""

from tests.web.dashboard.browser import text

QUESTION = "what-if?model_name=*&budgets[0].max_limit=10&budgets[0].reset_duration=1d&days=1"


def test_page_names_whose_calls_would_have_been_refused(browser, api):
    api.post("virtual-keys", {"id": "search", "name": "Search <b>team</b>"})
    api.post("usage", {"model": "gpt-4o", "cost": 6, "virtual_key_id": "search"})
    api.post("usage", {"model": "o3", "cost": 6, "virtual_key_id": "search"})
    api.post("usage", {"model": "claude", "cost": 4})
    page = browser.get(QUESTION)
    shown = text(page)
    assert "Refused 1" in shown
    assert "o3 Model 1 1" in shown
    assert "Search <b>team</b> Virtual key 2 1" in shown
    assert "claude" not in shown
    assert "<b>team" not in page.text


def test_page_has_no_table_where_nothing_would_have_been_refused(browser, api):
    api.post("usage", {"model": "gpt-4o", "cost": 6})
    assert "Whose calls" not in text(browser.get(QUESTION))
