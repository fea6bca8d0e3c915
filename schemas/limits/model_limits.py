"""The schemas of the bodies that create and update a model limit.

The budgets and rate limits of a limit are called items. A body contains them as lists (`budgets`, `rate_limits`). If
there is only one item, the body may use the *singular field* (`budget`, `rate_limit`) instead of the list.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_load, pre_load, validates_schema

from governance.domain.limits import durations
from governance.domain.limits.drafts import LimitChange, LimitDraft
from governance.domain.limits.limit import MAX_ITEMS, Metric, Scope
from schemas.fields import Boolean, Name, OneOf, Provider, ReadOnly
from schemas.limits import identity
from schemas.limits.items import BudgetBody, RateLimitBody, item_list
from schemas.loading import Body
from schemas.time_fields import TimeZone

SCOPES = {scope.value: scope for scope in Scope}
IDENTITY = ("model_name", "provider", "scope", "scope_id")
SINGULAR = {"budgets": "budget", "rate_limits": "rate_limit"}
WINDOWS = {"budgets": ("reset_duration",), "rate_limits": ("token_reset_duration", "request_reset_duration")}


class ModelLimitBody(Body):
    """The fields that the bodies of a create and an update have in common.

    `emptied` contains the names of the singular fields that may be `{}`. In these fields, `{}` means an empty list.
    """

    emptied: ClassVar[tuple[str, ...]] = ("rate_limit",)

    calendar_aligned = Boolean(metadata={"description": "Align windows of whole d, w, M or Y to the calendar."})
    timezone = TimeZone(metadata={"description": "IANA zone of calendar windows; UTC where none is given."})
    budgets = item_list(BudgetBody, "budgets")
    budget = fields.Nested(BudgetBody, metadata={"description": "The same as a list of one."})
    rate_limits = item_list(RateLimitBody, "rate limits")
    rate_limit = fields.Nested(RateLimitBody, metadata={"description": "The same as a list of one."})
    id = ReadOnly()
    scope_name = ReadOnly()
    config_hash = ReadOnly()
    created_at = ReadOnly()
    updated_at = ReadOnly()

    @pre_load
    def without_echo(self, data: Any, **_: Any) -> Any:
        """Remove singular fields that come from a response. Replace singular fields that are `{}` by an empty list.

        A response contains the first item twice: in the list and in the singular field. A client may send both back.
        A singular field that has an id, and whose list is also sent, counts as coming from a response.
        """
        if not isinstance(data, Mapping):
            return data
        kept = dict(data)
        for plural, singular in SINGULAR.items():
            given, listed = kept.get(singular), kept.get(plural)
            if given is None:
                continue
            if listed is not None and _is_echo(given):
                del kept[singular]
            if singular in self.emptied and listed is None and _is_empty(given):
                del kept[singular]
                kept[plural] = []
        return kept

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def one_form(self, _: Any, original: Any, **__: Any) -> None:
        """Refuse a list together with its singular field, unless the singular field comes from a response."""
        both = {
            singular: [f"Send {plural} or {singular}, not both."]
            for plural, singular in SINGULAR.items()
            if original.get(plural) is not None
            and original.get(singular) is not None
            and not _is_echo(original[singular])
        }
        if both:
            raise ValidationError(both)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def distinct_windows(self, _: Any, original: Any, **__: Any) -> None:
        """Refuse windows of the same length in two budgets, or in two rate limits with the same metric."""
        repeated: dict[str, dict[int, dict[str, list[str]]]] = {}
        for plural, names in WINDOWS.items():
            items = original.get(plural)
            for name in names:
                for index, sentence in _repeated(plural, name, items if isinstance(items, list) else []):
                    repeated.setdefault(plural, {}).setdefault(index, {})[name] = [sentence]
        if repeated:
            raise ValidationError(repeated)


def _is_echo(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("id") is not None


def _is_empty(value: Any) -> bool:
    """Return whether an object sets nothing: it is `{}`, or contains only nulls."""
    return isinstance(value, Mapping) and all(inner is None for inner in value.values())


def _repeated(plural: str, name: str, items: list[Any]) -> Iterator[tuple[int, str]]:
    """Yield the index of each item whose window is as long as that of an earlier item, with an error message."""
    seen: dict[int, str] = {}
    for index, item in enumerate(items[:MAX_ITEMS]):
        text = item.get(name) if isinstance(item, Mapping) else None
        try:
            length = durations.parse(text).length if isinstance(text, str) else None
        except ValueError:
            continue
        if length in seen:
            yield index, f"Give each window once among {plural}: {text} is as long as {seen[length]}."
        elif length is not None:
            seen[length] = str(text)


class ModelLimitCreate(ModelLimitBody):
    """The body of `POST /model-configs`."""

    model_name = Name(required=True, metadata={"description": "The model, or * for all models."})
    provider = Provider(metadata={"description": "The provider; all providers where left out."})
    scope = OneOf(SCOPES, load_default=Scope.GLOBAL)
    scope_id = Name(metadata={"description": "The virtual key or user; required unless the scope is global."})

    @pre_load
    def without_empty_id(self, data: Any, **_: Any) -> Any:
        """If the scope is global, remove an empty scope_id."""
        if not isinstance(data, Mapping) or "scope_id" not in data:
            return data
        is_global = data.get("scope") in (None, Scope.GLOBAL.value)
        if is_global and identity.is_empty(data["scope_id"]):
            return {name: value for name, value in data.items() if name != "scope_id"}
        return data

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def whom(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        """Refuse names that would match no call, and a `scope_id` that does not fit the `scope`."""
        found = identity.faults(data, original)
        if found:
            raise ValidationError(found)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> LimitDraft:
        """Build the new limit from the loaded body."""
        return LimitDraft(
            model_name=data["model_name"],
            provider=data.get("provider"),
            scope=data["scope"],
            scope_id=data.get("scope_id"),
            calendar_aligned=data.get("calendar_aligned"),
            timezone=data.get("timezone", "UTC"),
            **_items(data, ()),
        )


class ModelLimitUpdate(ModelLimitBody):
    """The body of `PUT /model-configs/{id}`. A missing or null field keeps its value."""

    emptied = ("budget", "rate_limit")

    model_name = Name(metadata={"description": "Fixed at creation: only its own value is accepted."})
    provider = Name(metadata={"description": "Fixed at creation: only its own value is accepted."})
    scope = OneOf(SCOPES, metadata={"description": "Fixed at creation: only its own value is accepted."})
    scope_id = Name(metadata={"description": "Fixed at creation: only its own value is accepted."})
    reset_usage = Boolean(metadata={"description": "Zero what is used in the current windows; holds stay."})
    reset_budget_usage = Boolean(metadata={"description": "The same for the budgets alone, as Bifrost has it."})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> LimitChange:
        """Build the edit from the loaded body."""
        return LimitChange(
            identity={name: data[name] for name in IDENTITY if name in data},
            calendar_aligned=data.get("calendar_aligned"),
            timezone=data.get("timezone"),
            **_items(data, None),
            reset=_reset(data),
        )


def _reset(data: Mapping[str, Any]) -> frozenset[Metric]:
    if data.get("reset_usage"):
        return frozenset(Metric)
    return frozenset([Metric.COST] if data.get("reset_budget_usage") else [])


def _items(data: Mapping[str, Any], absent: tuple[()] | None) -> dict[str, Any]:
    """Return both lists of items, and under `single` the names of the lists that were sent as a singular field.

    If neither a list nor its singular field was sent, the list is `absent`.
    """
    single = frozenset(plural for plural, singular in SINGULAR.items() if singular in data)
    items: dict[str, Any] = {"single": single}
    for plural, singular in SINGULAR.items():
        listed = [data[singular]] if plural in single else data.get(plural)
        items[plural] = absent if listed is None else tuple(listed)
    return items
