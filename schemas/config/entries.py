"""The schemas of the model limits, budgets and rate limits in a config file.

A config file may also be a config file of Bifrost (an LLM gateway). So these schemas accept the fields of HTTP bodies,
and the fields of Bifrost's file. Budgets and rate limits are called items. A section is a list such as `budgets`, and
each object in a section is called an entry. An item is nested in the entry of its limit, or it is an entry itself.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from governance.domain import coercion
from governance.domain.config.entries import ItemEntry, LimitEntry, NamedOwner
from governance.domain.limits.drafts import DraftItem
from governance.domain.limits.durations import Duration
from governance.domain.limits.limit import MAX_ITEMS
from schemas.fields import BaseField, Boolean, BoundedList, Name, Number, OneOf, Provider, ReadOnly
from schemas.limits.items import RATES, BudgetBody, RateLimitBody, item_list
from schemas.limits.model_limits import ModelLimitCreate
from schemas.time_fields import DurationField

OWNERS = ("model_config_id", "virtual_key_id", "provider_config_id", "team_id", "customer_id")
"""The fields in which a budget can give the id of its owner. As in Bifrost, at most one of them may be set."""
RULES = ("budget_id", "budget_ids", "budgets", "budget", "rate_limit_id", "rate_limit_ids", "rate_limits", "rate_limit")
"""The fields in which an entry contains its budgets and rate limits, or gives their ids."""
QUARTERS_BEGIN = (None, 0, 1, 4, 7, 10)


class IgnoredFields(ReadOnly):
    """A field of Bifrost's file that has no effect here. It is skipped, and the user is told its name."""


class OverrideAmount(Number):
    """A number that Bifrost adds to a budget's maximum for some time. It is checked, but has no effect here."""

    default_error_messages = {"range": "Lower max_limit itself: {field} only ever raises it."}  # noqa: RUF012
    note = "The override is not taken: the budget's own maximum holds."

    def __init__(self) -> None:
        super().__init__(least=0, most=10**18)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self._ranged(value)


class QuarterDuration(DurationField):
    """The length of a window. Unlike in HTTP bodies, it may be in quarters: `1Q` is three months."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Duration:
        return super()._deserialize(coercion.duration(value))


class QuarterStart(BaseField):
    """An object in which Bifrost sets the first month of a quarter.

    Only quarters that begin in January, April, July and October are accepted.
    """

    default_error_messages = {  # noqa: RUF012
        "start": "Leave {field} out: quarters begin in January, April, July and October here.",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> None:
        if not isinstance(value, Mapping) or value.get("quarter_start_month") not in QUARTERS_BEGIN:
            raise self.make_error("start")


class RowId(Name):
    """An id that is a whole number in Bifrost. The file may contain it as a number or as text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        number = isinstance(value, int) and not isinstance(value, bool)
        return super()._deserialize(str(value) if number else value)


class OneProvider(Provider):
    """The name of one provider. A pattern with '*' is refused."""

    default_error_messages = {  # noqa: RUF012
        "star": "Give {field} as the whole name of one provider: one with '*' in it would meet no call.",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        provider = super()._deserialize(value)
        if "*" in provider:
            raise self.make_error("star")
        return provider


class KeyId(Name):
    """The id of one virtual key. '*' is refused."""

    default_error_messages = {  # noqa: RUF012
        "star": "Give {field} as the id of one virtual key: '*' is none, and does not stand for each of them.",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        key = super()._deserialize(value)
        if key == "*":
            raise self.make_error("star")
        return key


class NestedBudget(BudgetBody):
    """A budget nested in the entry that owns it."""

    reset_duration = QuarterDuration(required=True)
    customer_id = ReadOnly()
    reset_config = QuarterStart()
    override_amount = OverrideAmount()
    override_mode = ReadOnly()
    override_cycles_remaining = ReadOnly()
    override_cycles_total = ReadOnly()
    override_anchor_reset = ReadOnly()


class FileBudget(NestedBudget):
    """A budget in the section `budgets`. It may give the id of its owner."""

    id = Name(required=True)
    model_config_id = Name()  # type: ignore[assignment]  # files may contain fields of responses
    virtual_key_id = KeyId()  # type: ignore[assignment]
    provider_config_id = RowId()  # type: ignore[assignment]
    team_id = Name()  # type: ignore[assignment]
    customer_id = Name()  # type: ignore[assignment]

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def one_owner(self, _: Any, original: Mapping[str, Any], **__: Any) -> None:
        """Refuse a budget with more than one owner."""
        first, *others = [name for name in OWNERS if original.get(name) is not None] or [""]
        if others:
            raise ValidationError({name: [f"Name one owner: this budget has {first} too."] for name in others})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Build the budget with its owner from the loaded entry."""
        return _item_entry(data, super().make(data))


class NestedRateLimit(RateLimitBody):
    """A rate limit nested in the entry that owns it.

    In newer versions of Bifrost, a rate limit has only one metric (tokens or requests). The field `metric` names it.
    """

    token_reset_duration = QuarterDuration()
    request_reset_duration = QuarterDuration()
    metric = OneOf({metric.value: metric for metric in RATES})
    calendar_aligned = Boolean()
    model_config_id = ReadOnly()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def one_metric(self, data: Any, original: Any, **_: Any) -> None:
        """If the rate limit names its metric, refuse a maximum and a duration of the other metric."""
        if not isinstance(original, Mapping):
            return
        metric = data.get("metric")
        others = [prefix for other, prefix in RATES.items() if metric not in (None, other)]
        names = [f"{prefix}_{name}" for prefix in others for name in ("max_limit", "reset_duration")]
        wrong = {
            name: [f"Leave {name} out, or write a rate limit of its own for it: the metric of this one is {metric}."]
            for name in names
            if original.get(name) is not None
        }
        if wrong:
            raise ValidationError(wrong)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Build the rate limit from the loaded entry."""
        return super().make(data)._replace(aligned=data.get("calendar_aligned"))


class FileRateLimit(NestedRateLimit):
    """A rate limit in the section `rate_limits`. It may give the id of its limit."""

    id = Name(required=True)
    model_config_id = Name()  # type: ignore[assignment]

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Build the rate limit with its owner from the loaded entry."""
        return _item_entry(data, super().make(data))


def _item_entry(data: Mapping[str, Any], item: DraftItem) -> ItemEntry:
    owner = next((NamedOwner(name, data[name]) for name in OWNERS if name in data), None)
    return ItemEntry("", data["id"], item, owner)


def _ids(what: str) -> BoundedList:
    wanted = f"Give {what} as a list of ids."
    return BoundedList(
        Name(), most=MAX_ITEMS, error_messages={"invalid": wanted, "most": f"Give at most {MAX_ITEMS} {what}."}
    )


class FileLimit(ModelLimitCreate):
    """A model limit in the section `model_configs`.

    It has the fields of the body of `POST /model-configs`, an id, and the ids of items that are entries themselves.
    """

    id = Name()  # type: ignore[assignment]  # files may contain fields of responses
    budgets = item_list(NestedBudget, "budgets")
    budget = fields.Nested(NestedBudget)
    rate_limits = item_list(NestedRateLimit, "rate limits")
    rate_limit = fields.Nested(NestedRateLimit)
    budget_id = Name()
    budget_ids = _ids("budget_ids")
    rate_limit_id = Name()
    rate_limit_ids = _ids("rate_limit_ids")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Build the model limit from the loaded entry, with the ids of its items that are entries themselves."""
        own_id = data.get("id")
        return LimitEntry(
            path="",
            id=own_id,
            draft=super().make(data),
            budget_id=data.get("budget_id"),
            budget_ids=tuple(data.get("budget_ids", ())),
            rate_limit_id=data.get("rate_limit_id"),
            rate_limit_ids=tuple(data.get("rate_limit_ids", ())),
            named_by=None if own_id is None else NamedOwner("model_config_id", own_id),
        )
