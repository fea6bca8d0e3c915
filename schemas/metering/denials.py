"""Converts the denial of a call to an error whose message says what to do.

A rule is one maximum of dollars, tokens or requests in each window of time.
"""

from governance.domain.errors import Code, Denied, Forbidden, InvalidRequest
from governance.domain.limits import money
from governance.domain.limits.limit import Metric, Scope, scope_words
from governance.domain.metering.decision import Decision, RuleStatus
from governance.domain.times import rfc3339
from schemas.metering import unknown_prices
from schemas.metering.decisions import rules


def refusal(decision: Decision, *, shows_shared: bool = True) -> Denied | Forbidden | InvalidRequest:
    """Build the error for a call that was not allowed.

    A limit with the scope `global` is shared by all callers. If `shows_shared` is false, the error contains no figures
    of such limits, but only of limits on the virtual key or the user of the call.
    """
    if decision.key_refusal is not None:
        message, code, param = decision.key_refusal
        return Forbidden(message, param=param, code=code)
    if decision.is_unpriced:
        extra = {"decision": "deny", "retryable": False}
        return InvalidRequest(unknown_prices.refused(decision), param="cost", code=Code.PRICE_UNKNOWN, extra=extra)
    first, call, retry_after = decision.violations[0], decision.call, decision.retry_after
    shown = [each for each in decision.violations if shows_shared or each.matched.limit.scope != Scope.GLOBAL]
    extra = {"decision": "deny", "retryable": retry_after is not None, "violations": rules(shown)}
    whose = {
        "model": call.model,
        "virtual_key_id": call.virtual_key_id,
        "user_id": call.user_id,
        "rule_id": first.matched.rule.id,
    }
    sentence = _sentence(shown[0]) if shown else _shared_sentence(first)
    return Denied(sentence, code=Code(decision.word), extra=extra, retry_after=retry_after, whose=whose)


def _shared_sentence(violated: RuleStatus) -> str:
    """Return the message about a shared limit without room. It contains no figures."""
    if violated.exceeds_limit:
        return "Ask for less: a shared limit is smaller than this call."
    return f"Wait until {rfc3339(violated.window.end)}: a shared limit has no room for this call."


def _sentence(violated: RuleStatus) -> str:
    """Return the message about a rule without room, with its figures. It says what to do."""
    rule, limit = violated.matched.rule, violated.matched.limit
    name = violated.matched.scope_name or limit.scope_id
    whose = f"{scope_words(limit.scope)} {name}" if limit.scope_id else limit.scope
    advice = "Ask for less" if violated.exceeds_limit else f"Wait until {rfc3339(violated.window.end)}"
    what = f"{limit.models_in_words} ({whose})"
    return (
        f"{advice}: the limit of {_amount(rule.metric, rule.max_limit)} in {rule.reset_duration} on {what} has "
        f"{_amount(rule.metric, violated.remaining)} left, and this call {_wish(violated)}."
    )


def _wish(violated: RuleStatus) -> str:
    """Return in words how much a denied call asks for, for example `asks for 300 tokens`."""
    metric = violated.matched.rule.metric
    return f"leaves {metric} out" if violated.left_out else f"asks for {_amount(metric, violated.requested)}"


def _amount(metric: str, amount: int) -> str:
    if metric == Metric.COST:
        return f"${money.dollars(amount)}"
    return f"{amount} {metric.removesuffix('s') if amount == 1 else metric}"
