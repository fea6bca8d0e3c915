"""Fields of a form become the body of the API, and back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.errors import Code, Conflict, Fault, InvalidRequest
from governance.web.dashboard.core import forms
from schemas.limits.model_limits import ModelLimitCreate

SCHEMA = ModelLimitCreate()
NUMBERS = ("max_limit", "token_max_limit", "request_max_limit")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        (" 20 ", 20),
        ("20.50", Decimal("20.50")),
        ("0.000000001", Decimal("0.000000001")),
        ("-1", -1),
        ("1,000", "1,000"),
        ("1e9", "1e9"),
        ("01", "01"),
        ("٣", "٣"),
        ("9" * 41, "9" * 41),
        ("NaN", "NaN"),
    ],
)
def test_text_of_a_number_becomes_one(text, value):
    found = forms.body({"budgets[0].max_limit": text}, SCHEMA, NUMBERS)["budgets"][0]["max_limit"]
    assert (found, type(found)) == (value, type(value))


def test_digits_of_a_name_stay_text():
    assert forms.body({"model_name": "5"}, SCHEMA, NUMBERS) == {"model_name": "5"}


def test_empty_fields_and_rows_are_left_out():
    fields = {
        "model_name": "a",
        "provider": "  ",
        "budgets[0].id": "x",
        "budgets[0].max_limit": "",
        "budgets[2].max_limit": "3",
        "budgets[1].max_limit": "2",
        "form": "token",
        "step": "store",
        "budgets[x].max_limit": "1",
        "__class__": "1",
    }
    assert forms.body(fields, SCHEMA, NUMBERS) == {
        "model_name": "a",
        "budgets": [{"max_limit": 2}, {"max_limit": 3}],
    }


@pytest.mark.parametrize(
    "name", ["budgets", "budgets[0]", "budgets.x", "budgets[0][1]", "budgets[0].a.b.c", "model_name.x"]
)
def test_fields_that_fit_no_schema_break_nothing(name):
    fields = {name: "1", "budgets[0].max_limit": "2", "model_name": "a"}
    for order in (fields, dict(reversed(fields.items()))):
        found = forms.body(order, SCHEMA, NUMBERS)
        assert set(found) == {"model_name", "budgets"}
        forms.shell(found)


budget = st.fixed_dictionaries({"max_limit": st.integers(1, 10**9), "reset_duration": st.just("1d")})
rows = st.lists(budget, max_size=5)


@given(rows)
def test_body_survives_its_fields(budgets):
    given_body = {"model_name": "a", "calendar_aligned": True} | ({"budgets": budgets} if budgets else {})
    assert forms.body(forms.flat(given_body), SCHEMA, NUMBERS) == given_body


def test_faults_go_to_their_fields():
    error = InvalidRequest.of([Fault("a", "One."), Fault("a", "Two."), Fault(None, "Whole.")])
    assert forms.faults(error) == {"a": ["One.", "Two."], "": ["Whole."]}
    assert forms.faults(Conflict("Taken.", param="name")) == {"name": ["Taken."]}
    assert forms.faults(Conflict("Stale.", code=Code.STALE_VERSION)) == {"": ["Stale."]}


def test_body_is_quoted_for_a_shell():
    assert forms.shell({"name": "it's", "max_limit": Decimal("0.10")}) == """'{"name":"it'"'"'s","max_limit":0.10}'"""
