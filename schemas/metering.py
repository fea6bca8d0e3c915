"""Metering: what is asked, settled and reported coming in; decisions and reservations going out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

from marshmallow import ValidationError
from orjson import Fragment

from governance.domain.limits import money
from governance.domain.limits.limit import Metric
from governance.domain.metering.decision import MAX_REQUESTS, MAX_TOKENS, Applied, RequestedAmounts, Standing
from governance.domain.metering.matching import Call
from governance.domain.metering.reservation import DEFAULT_TTL, LONGEST_TTL, Actual, Reservation, Status
from governance.domain.times import rfc3339
from schemas import render
from schemas.fields import Name, Number, OneOf, Provider, Whole
from schemas.loading import Flat
from schemas.queries import PageQuery
from schemas.render import dollars

RULES_REMEMBERED = 8192
GAP = Fragment("\0")
"""What no JSON has in it."""


class Ask(NamedTuple):
    """What a reservation asks for. `virtual_key` is the key's value where that was given instead of its id."""

    call: Call
    amounts: RequestedAmounts
    ttl_seconds: int = DEFAULT_TTL
    virtual_key: str | None = None


class Cost(Number):
    """The cost of one call in dollars, any number of decimals; becomes nano-dollars, rounded up."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=money.MAX_COST // money.NANOS, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number: int | Decimal = self._ranged(value)
        nanos, _exact = money.nanos(number, money.MAX_COST)
        return nanos


class Tokens(Whole):
    """The tokens of one call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=MAX_TOKENS, **kwargs)


class CallBody(Flat):
    """A call to a model, on whose behalf, and how much of it."""

    model = Name(required=True, metadata={"description": "The model; p/model without a provider names provider p."})
    provider = Provider()
    virtual_key_id = Name(metadata={"description": "The virtual key that pays, by its id."})
    user_id = Name(metadata={"description": "The user that pays."})
    tokens = Tokens(metadata={"description": "0 passes always; left out passes while any are left. Neither holds any."})
    cost = Cost(
        metadata={
            "description": "Dollars, rounded up to the billionth. 0, such as of a free model, passes always; "
            "left out passes while anything is left. Neither holds any."
        }
    )


class ReservationCreate(CallBody):
    """The body of `POST /reservations` and of `POST /check`."""

    virtual_key = Name(metadata={"description": "The virtual key that pays, by its value."})
    input_tokens = Tokens(metadata={"description": "Instead of tokens, together with output_tokens."})
    output_tokens = Tokens(metadata={"description": "Instead of tokens: the most that the answer may have."})
    ttl_seconds = Whole(
        least=1,
        most=LONGEST_TTL,
        load_default=DEFAULT_TTL,
        metadata={"description": "How long the hold lasts without a settle; extend it for long streams."},
    )

    def one_form(self, data: dict[str, Any], original: Any) -> None:
        """Refuse two ways of saying the same thing."""
        given = {name for name, value in original.items() if value is not None} if isinstance(original, Mapping) else ()
        if "tokens" in given and not {"input_tokens", "output_tokens"}.isdisjoint(given):
            raise ValidationError("Give tokens, or input_tokens and output_tokens, not both.", "tokens")
        if {"virtual_key", "virtual_key_id"} <= set(given):
            raise ValidationError("Give virtual_key or virtual_key_id, not both.", "virtual_key")
        if data.get("input_tokens", 0) + data.get("output_tokens", 0) > MAX_TOKENS:
            sentence = f"Give input_tokens and output_tokens of at most {MAX_TOKENS} together."
            raise ValidationError(sentence, "input_tokens")

    def make(self, data: dict[str, Any]) -> Ask:
        """Turn the body into what is asked."""
        amounts = RequestedAmounts(data.get("cost"), _tokens(data))
        return Ask(_call(data), amounts, data["ttl_seconds"], data.get("virtual_key"))


class UsageReport(CallBody):
    """The body of `POST /usage`: an amount left out is 0."""

    tokens = Tokens(metadata={"description": "What was used; 0 where left out."})
    cost = Cost(metadata={"description": "Dollars that were spent, rounded up to the billionth; 0 where left out."})
    requests = Whole(least=0, most=MAX_REQUESTS, load_default=1, metadata={"description": "How many calls this was."})

    def make(self, data: dict[str, Any]) -> Ask:
        """Turn the body into what was used."""
        return Ask(_call(data), RequestedAmounts(data.get("cost", 0), data.get("tokens", 0), data["requests"]))


class Settlement(Flat):
    """The body of `POST /reservations/{id}/settle`: an amount left out settles at what was held, 0 at nothing."""

    optional = True

    tokens = Tokens(metadata={"description": "What was used; as held where left out."})
    cost = Cost(metadata={"description": "Dollars that were spent; as held where left out."})

    def make(self, data: dict[str, Any]) -> Actual:
        """Turn the body into the actual amounts."""
        return Actual(data.get("tokens"), data.get("cost"))


class Extension(Flat):
    """The body of `POST /reservations/{id}/extend`."""

    optional = True
    """No body is an empty object, so that its refusal names what is missing."""

    ttl_seconds = Whole(
        least=1, most=LONGEST_TTL, required=True, metadata={"description": "Seconds from now; never less than it has."}
    )


class ReservationsQuery(PageQuery):
    """The question to `GET /reservations`."""

    status = OneOf(
        {status.value: status.value for status in Status if status != Status.REPORTED},
        metadata={"description": "Only reservations in this state."},
    )


def _call(data: Mapping[str, Any]) -> Call:
    return Call(data["model"], data.get("provider"), data.get("virtual_key_id"), data.get("user_id"))


def _tokens(data: Mapping[str, Any]) -> int | None:
    """The tokens a body asks for, as one number or as the sum of its parts; None where it gives neither."""
    if "input_tokens" in data or "output_tokens" in data:
        return int(data.get("input_tokens", 0) + data.get("output_tokens", 0))
    return data.get("tokens")


def reservation(held: Reservation) -> dict[str, Any]:
    """A reservation as it is shown."""
    return {
        "id": held.id,
        "status": held.status,
        "model": held.model,
        "provider": held.provider,
        "virtual_key_id": held.virtual_key_id,
        "user_id": held.user_id,
        "requests": held.requests,
        "tokens": {"reserved": held.held_tokens, "used": held.used_tokens},
        "cost": {"reserved": dollars(held.held_cost), "used": dollars(held.used_cost)},
        "overrun": {
            "tokens": max(0, held.used_tokens - held.held_tokens),
            "cost": dollars(max(0, held.used_cost - held.held_cost)),
        },
        "created_at": rfc3339(held.created_at),
        "expires_at": rfc3339(held.expires_at),
        "settled_at": None if held.settled_at is None else rfc3339(held.settled_at),
        "late": held.late,
    }


def standing(shown: Standing) -> dict[str, Any]:
    """A rule in its current window."""
    applied, window, requested, _ = shown
    figures = map(_figure(applied.rule.metric), (window.used, window.reserved, requested, shown.remaining))
    return _shape(applied, figures, rfc3339(window.end))


def standings(shown: Sequence[Standing]) -> Fragment:
    """Rules that applied, in their current windows, as a JSON array; amounts of a budget are dollars."""
    return _array(_standing(each, *each.window[2:]) for each in shown)


def allowed(held: Reservation, shown: Sequence[Standing]) -> dict[str, Any]:
    """The answer to a reservation that holds: each rule as it is now, what was asked of it among what it reserves."""
    limits = _array(_standing(each, each.window.used, each.window.reserved + each.requested) for each in shown)
    return {"decision": "allow", "reservation": reservation(held), "limits": limits}


def reported(shown: Sequence[Standing]) -> dict[str, Any]:
    """The answer to a usage report: each rule as it is now, what was used with it, and whether it is used up."""
    return {"message": "Usage recorded successfully", "limits": _array(map(_charged, shown))}


@lru_cache(maxsize=RULES_REMEMBERED)
def repeated_texts(rules: tuple[Applied, ...]) -> tuple[str, ...]:
    """What the answers to effects on the same rules have in common, and most of their bytes are."""
    return (_frame(), *map(_template, rules))


@cache
def _frame() -> str:
    """The answer to a reservation on no rule."""
    held = Reservation("", Status.OPEN, "", "", "", "", 1, 1000, 10**7, 0, 0, 0, 0, None, late=False)
    return render.dumps(allowed(held, [])).decode()


def _charged(shown: Standing) -> str:
    used, reserved = shown.window.used + shown.requested, shown.window.reserved
    over = used + reserved >= shown.applied.rule.max_limit
    return f'{_standing(shown, used, reserved)[:-1]},"over":{"true" if over else "false"}}}'


def _array(texts: Iterable[str]) -> Fragment:
    return Fragment(f"[{','.join(texts)}]")


def _standing(shown: Standing, used: int, reserved: int) -> str:
    applied, window, requested, _ = shown
    rule, ends = applied.rule, rfc3339(window.end)
    figures = (used, reserved, requested, max(0, rule.max_limit - used - reserved))
    return _template(applied) % (*(map(money.dollars, figures) if rule.metric == Metric.COST else figures), ends)


@lru_cache(maxsize=RULES_REMEMBERED)
def _template(applied: Applied) -> str:
    """A rule's JSON with gaps for its figures: what never changes is rendered once."""
    shown = render.dumps(_shape(applied, [GAP] * 4, Fragment('"\0"')))
    return shown.decode().replace("%", "%%").replace("\0", "%s")


def _shape(applied: Applied, figures: Iterable[Any], resets_at: Any) -> dict[str, Any]:
    used, reserved, requested, remaining = figures
    rule, limit = applied.rule, applied.limit
    return {
        "rule_id": rule.id,
        "model_config_id": limit.id,
        "kind": applied.kind,
        "metric": rule.metric,
        "model_name": limit.model_name,
        "provider": limit.provider,
        "scope": limit.scope,
        "scope_id": limit.scope_id,
        "scope_name": applied.scope_name,
        "used": used,
        "reserved": reserved,
        "requested": requested,
        "limit": _figure(rule.metric)(rule.max_limit),
        "remaining": remaining,
        "resets_at": resets_at,
    }


def _figure(metric: str) -> Callable[[int], Any]:
    """How amounts of a metric are shown."""
    return dollars if metric == Metric.COST else int


def sentence(violated: Standing) -> str:
    """What a denied caller is to do, from the figures of the first rule without room."""
    rule, limit = violated.applied.rule, violated.applied.limit
    whose = f"{limit.scope} {violated.applied.scope_name or limit.scope_id}" if limit.scope_id else limit.scope
    what = f"{limit.model_name}{f' of {limit.provider}' if limit.provider else ''} ({whose})"
    advice = "Ask for less" if violated.hopeless else f"Wait until {rfc3339(violated.window.end)}"
    return (
        f"{advice}: the limit of {_amount(rule.metric, rule.max_limit)} in {rule.reset_duration} on {what} has "
        f"{_amount(rule.metric, violated.remaining)} left, and this call {_wish(violated)}."
    )


def _wish(violated: Standing) -> str:
    """What a denied call asked of a rule, in words."""
    metric = violated.applied.rule.metric
    return f"leaves {metric} out" if violated.left_out else f"asks for {_amount(metric, violated.requested)}"


def _amount(metric: str, amount: int) -> str:
    if metric == Metric.COST:
        return f"${money.dollars(amount)}"
    return f"{amount} {metric.removesuffix('s') if amount == 1 else metric}"
