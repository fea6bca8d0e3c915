"""Describes the responses about the windows of a limit, with their usage, and about its forecast.

A rule is one maximum of dollars, tokens or requests in each window of time. A forecast says when a rule will be used
up.
"""

from marshmallow import Schema, fields

from governance.domain.history.forecast import Outlook
from schemas.responses.envelopes import Paged
from schemas.responses.fields import dollars, flag, instant, text


class RuleNamed(Schema):
    """The rule to which a window or a forecast belongs."""

    rule_id = text("The budget's or rate limit's id.")
    kind = fields.String(required=True, metadata={"enum": ["budget", "rate_limit"]})
    metric = fields.String(required=True, metadata={"enum": ["cost", "tokens", "requests"]})


class WindowShown(RuleNamed):
    """The usage of a rule in one window. Amounts of a budget are in dollars."""

    start = instant("The start of the window.")
    end = instant("Its end, which is not in it.")
    is_current = flag("Whether the window has not ended.")
    used = dollars("What was used.")
    reserved = dollars("What open reservations hold of it.")
    limit = dollars(
        "The maximum; of a window that has ended the last one before its end, null where it is not known.", null=True
    )


class WindowList(Paged):
    """A page of windows, newest first. Windows without usage and reservations are left out."""

    windows = fields.List(fields.Nested(WindowShown), required=True)


class PacePerDay(Schema):
    """The usage per day. Amounts of a budget are in dollars."""

    this_window = dollars("In this window so far.")
    past_windows = dollars("In the past windows; null without any.", null=True)
    expected = dollars("What the forecast expects: both, weighted by `passed`.")


class PastWindow(Schema):
    """A past window with which the forecast compares the current window."""

    start = instant()
    end = instant()
    used = dollars("What was used in it.")


class ForecastShown(RuleNamed):
    """The forecast of a rule in its current window. Amounts of a budget are in dollars."""

    reset_duration = text()
    limit = dollars("The rule's maximum.")
    used = dollars("Used in the current window.")
    reserved = dollars("Held by open reservations. The forecast does not count it.")
    window_start = instant("The start of the current window.")
    resets_at = instant("Its end.")
    outlook = fields.String(
        required=True,
        metadata={
            "enum": [outlook.value for outlook in Outlook],
            "description": "too_early: less than 5 % of the window has passed.",
        },
    )
    possible_from = instant("When 5 % of the window will have passed: there is a forecast from then on.")
    runs_out_at = instant("When the rule will be used up, if that is before the reset.", null=True)
    at_reset = dollars("What will have been used at the reset.", null=True)
    passed = fields.Float(
        required=True, metadata={"description": "The share of the window that has passed, such as 0.25."}
    )
    pace_per_day = fields.Nested(PacePerDay, required=True, allow_none=True)
    past_windows = fields.List(
        fields.Nested(PastWindow), required=True, metadata={"description": "At most 4, the newest first."}
    )


class ForecastList(Schema):
    """The forecast of each rule of a limit."""

    model_config_id = text()
    forecasts = fields.List(fields.Nested(ForecastShown), required=True)
