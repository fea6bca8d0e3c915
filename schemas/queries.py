"""The schemas of query strings, and a function that reads a query string and refuses every faulty parameter."""

import re
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from marshmallow import RAISE, Schema, post_load

from governance.domain.errors import Code, Fault, InvalidRequest
from governance.domain.limits.limit import Scope
from governance.domain.names import fold, spelled
from governance.domain.records.list_query import (
    DEFAULT_PAGE,
    FARTHEST_OFFSET,
    LARGEST_PAGE,
    Filter,
    ListQuery,
    Order,
    Page,
)
from schemas.fields import BaseField, OneOf
from schemas.loading import UNKNOWN, load, meant

INTEGER = re.compile("[+-]?[0-9]+")
LONGEST_INTEGER = 40
MOST_PARAMETERS = 100


class QueryText(BaseField):
    """Any text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return str(value)


class QueryInteger(BaseField):
    """ASCII digits with an optional sign.

    The number must be at least `least`. If `lowers` is true, a number above `most` is replaced by `most`. Otherwise
    such a number is refused.
    """

    default_error_messages = {  # noqa: RUF012
        "integer": "Give {field} as a whole number.",
        "least": "Give {field} as {least} or more.",
        "most": "Give {field} as {most} or less.",
    }

    def __init__(self, *, least: int, most: int, lowers: bool = False, **kwargs: Any) -> None:
        self.least, self.most, self.lowers = least, most, lowers
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if INTEGER.fullmatch(value) is None:
            raise self.make_error("integer")
        number = int(value) if len(value) <= LONGEST_INTEGER else Decimal(value)
        if number < self.least:
            raise self.make_error("least", least=self.least)
        if number > self.most and not self.lowers:
            raise self.make_error("most", most=self.most)
        return int(min(number, self.most))


class QueryBoolean(BaseField):
    """`true`, `false`, `1` or `0`, in upper or lower case."""

    default_error_messages = {"boolean": "Give {field} as true, false, 1 or 0."}  # noqa: RUF012
    words = {"true": True, "1": True, "false": False, "0": False}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if value.lower() not in self.words:
            raise self.make_error("boolean")
        return self.words[value.lower()]


class Query(Schema):
    """A query string without parameters. All other schemas of query strings are subclasses."""

    class Meta:
        """Refuses unknown parameters."""

        unknown = RAISE

    error_messages = {"unknown": UNKNOWN}  # noqa: RUF012


class PageQuery(Query):
    """The query string of a list, which is returned in pages."""

    limit = QueryInteger(
        least=1,
        most=LARGEST_PAGE,
        lowers=True,
        load_default=DEFAULT_PAGE,
        metadata={"description": "Maximum number of results to return; above 100 it is lowered to 100."},
    )
    offset = QueryInteger(
        least=0,
        most=FARTHEST_OFFSET,
        load_default=0,
        metadata={"description": "Number of results to skip (for pagination)."},
    )


class CallsQuery(PageQuery):
    """The query string of a list about calls: the page, and filters by provider, model, virtual key and user."""

    provider = QueryText(metadata={"description": "Only calls to this provider."})
    model = QueryText(metadata={"description": "Only calls to this model; p/model names its provider."})
    virtual_key_id = QueryText(metadata={"description": "Only calls of this virtual key."})
    user_id = QueryText(metadata={"description": "Only calls of this user."})

    @post_load
    def canonical(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Convert the model and the provider to the form in which names are compared, for example to lower case."""
        provider, model = spelled(data.get("model", ""), data.get("provider"))
        named = {"provider": provider if "provider" in data or provider else None, "model": model or None}
        return data | {name: value for name, value in named.items() if value is not None}


class RulesQuery(PageQuery):
    """The query string of a list of budgets or rate limits."""

    from_memory = QueryBoolean(
        load_default=False,
        metadata={"description": "Answer from the in-process memory: faster, at most one poll behind."},
    )


class SearchQuery(PageQuery):
    """The query string of a list of objects that have a name, with a search in the names."""

    search = QueryText(load_default="", metadata={"description": "Substring of the name, ignoring case."})


class ModelLimitsQuery(RulesQuery):
    """The query string of `GET /model-configs`."""

    search = QueryText(load_default="", metadata={"description": "Substring of model_name, ignoring case."})
    scope = OneOf({scope.value: scope for scope in Scope}, metadata={"description": "Only limits of this scope."})
    scope_id = QueryText(metadata={"description": "Only limits of this virtual key or user."})
    provider = QueryText(metadata={"description": "Only limits on this provider, as it was written."})
    sort_by = OneOf(
        {name: name for name in ("created_at", "model_name", "usage")},
        load_default="created_at",
        metadata={"description": "usage: the highest used/limit of a limit's rules in their current windows."},
    )
    order = OneOf(
        {"asc": False, "desc": True},
        load_default=True,
        metadata={"description": "Ties by id, in the same direction. desc where none is given."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> ListQuery:
        """Build a query from the parameters."""
        return ListQuery(
            page=Page(data["limit"], data["offset"]),
            filter=Filter(
                scope=data.get("scope"),
                scope_id=data.get("scope_id"),
                provider=data.get("provider"),
                search=fold(data["search"]),
            ),
            order=Order(data["sort_by"], data["order"]),
            from_memory=data["from_memory"],
        )


@lru_cache(maxsize=1024)
def read(schema: Schema, raw: bytes) -> Any:
    """Load a raw query string. The last 1,024 results are cached, because equal strings give equal results.

    Raises InvalidRequest with all faults.
    """
    given: dict[str, str] = {}
    faulty: dict[str, Fault] = {}
    for name, value in _pairs(raw):
        fault = _fault(schema, name, value, given)
        if fault:
            faulty.setdefault(name, fault)
        given[name] = value
    faults = list(faulty.values())
    try:
        found = load(schema, {name: value for name, value in given.items() if value and name not in faulty})
    except InvalidRequest as error:
        faults += [fault._replace(code=Code.INVALID_PARAMETER) for fault in error.faults]
    if faults:
        raise InvalidRequest.of(faults)
    return MappingProxyType(found) if isinstance(found, dict) else found


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    text = raw.decode("utf-8", "surrogateescape")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        sentence = f"Send at most {MOST_PARAMETERS} query parameters."
        raise InvalidRequest(sentence, code=Code.INVALID_PARAMETER) from error


def _fault(schema: Schema, name: str, value: str, given: dict[str, str]) -> Fault | None:
    shown = name.encode("utf-8", "replace").decode("utf-8")
    if shown != name or value.encode("utf-8", "replace").decode("utf-8") != value:
        return Fault(shown, f"Send {shown} as valid UTF-8.", Code.INVALID_PARAMETER)
    if name not in schema.fields:
        hint = meant(name, schema.fields) or f" (there are: {', '.join(schema.fields) or 'none'})"
        return Fault(name, f"Leave out {name}: there is no such parameter{hint}.", Code.UNKNOWN_PARAMETER)
    if name in given:
        return Fault(name, f"Give {name} once: it is there twice.", Code.INVALID_PARAMETER)
    return None
