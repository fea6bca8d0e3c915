"""A schema feature that the single pass over a body would leave out is refused, or marshmallow loads the body."""

import pytest
from marshmallow import INCLUDE, ValidationError, post_dump, post_load, pre_load, validate, validates, validates_schema

from schemas.fields import Name
from schemas.loading import Body, FlatBody
from schemas.metering.requests import Extension

HOOKS = {
    "validates": validates("name"),
    "validates_schema": validates_schema,
    "pre_load": pre_load,
    "post_load": post_load,
    "post_dump": post_dump,
}


def hook(self, data, *_, **__):
    return data


@pytest.mark.parametrize("decorate", HOOKS.values(), ids=HOOKS)
@pytest.mark.parametrize("method", ["extra", "make", "one_form"])
def test_a_hook_is_refused_when_the_class_is_made(decorate, method):
    def own(self, data, *_, **__):
        return data

    with pytest.raises(TypeError, match=f"Derive Hooked from Body, or take {method} out of Hooked"):
        type("Hooked", (FlatBody,), {"name": Name(), method: decorate(own)})


@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_mixin_s_hook_is_refused_too(place):
    class Mixin:
        extra = post_load(hook)

    bases = (Mixin, FlatBody) if place == "before" else (FlatBody, Mixin)
    with pytest.raises(TypeError, match="take extra out of Mixin"):
        type("Hooked", bases, {"name": Name()})


def test_options_of_a_class_are_refused():
    with pytest.raises(TypeError, match="take Meta out of"):
        type("Lax", (FlatBody,), {"Meta": type("Meta", (), {"unknown": INCLUDE})})


@pytest.mark.parametrize("decorate", [pre_load, post_load], ids=["pre_load", "post_load"])
def test_every_other_body_runs_marshmallow_s_hooks(decorate):
    def own(self, data, **_):
        return {"name": "hooked"}

    made = type("Hooked", (Body,), {"name": Name(), "extra": decorate(own)})
    assert made().load({"name": "given"}) == {"name": "hooked"}


class Plain(FlatBody):
    name = Name(required=True, validate=validate.Equal("a"))
    other = Name(attribute="renamed")
    counted = Name(load_default=lambda: "made")
    known = Name(data_key="knownAs")


def test_whatever_a_field_says_is_done():
    assert Plain().read({"name": "a", "other": "b", "knownAs": "c"}) == {
        "name": "a",
        "renamed": "b",
        "counted": "made",
        "known": "c",
    }
    with pytest.raises(ValidationError, match="Must be equal to a"):
        Plain().read({"name": "b"})


@pytest.mark.parametrize(
    ("options", "body", "loaded"),
    [
        ({"many": True}, [{"ttl_seconds": 5}], [{"ttl_seconds": 5}]),
        ({"partial": True}, {}, {}),
        ({"unknown": INCLUDE}, {"ttl_seconds": 5, "more": 1}, {"ttl_seconds": 5, "more": 1}),
    ],
)
def test_whatever_a_schema_is_made_with_is_done(options, body, loaded):
    assert Extension(**options).read(body) == loaded
