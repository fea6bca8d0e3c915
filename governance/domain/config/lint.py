"""Finds parts of a config file that are valid, but have no effect, or an effect that the author may not expect."""

import re
from collections.abc import Iterable, Iterator

from governance.domain.config.entries import Wanted, WantedLimit
from governance.domain.limits.drafts import RuleSpec
from governance.domain.limits.limit import Metric, Scope
from governance.domain.names import ALL_MODELS, Identity
from governance.domain.records.differences import shown

DATE = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
"""The date at the end of a model name: `gpt-4o-2024-08-06`, `claude-sonnet-4-20250514`, `claude-sonnet-4@20250514`."""

Caution = tuple[str, str]
"""A warning: a path in the file, for example `governance.budgets[0]`, and a sentence."""


SECTIONS = frozenset({"model_configs", "budgets", "rate_limits", "virtual_keys", "providers", "users", "prices"})
OWNING = frozenset({"model_configs", "virtual_keys", "providers"})
"""The sections whose entries own budgets and rate limits."""


def lint(wanted: Wanted, now: int, faulty: Iterable[str] = ()) -> list[Caution]:
    """Return all warnings about a file, including the warnings in `wanted.unset` and `wanted.notes`.

    `faulty` contains the paths of the file's faults. An entry with a fault gets no warnings. An id that an entry with a
    fault may define is not reported as missing.
    """
    paths = list(faulty)
    wrong = _wrong(paths)
    warnings = [*wanted.unset, *wanted.notes, *_missing(wanted, wrong)]
    if not (wanted.limits or wanted.keys or wanted.users or wanted.prices or paths):
        warnings.append(("", NOTHING))
    names = {limit.identity: limit.path for limit in wanted.limits}
    for limit in wanted.limits:
        warnings += [*_shadowed(limit), *_dated(limit, names)]
    warnings += [(key.path, EXPIRED) for key in wanted.keys if key.expires_at is not None and key.expires_at <= now]
    return _without_faulty(warnings, paths)


def left_out(wanted: Wanted, faulty: Iterable[str] = ()) -> list[Caution]:
    """Return a warning for each budget or rate limit that belongs to no limit here.

    `faulty` contains the paths of the file's faults. Entries with a fault get no warning. If an entry that can own
    budgets and rate limits has a fault, no warnings are returned, because that entry may be the missing owner.
    """
    paths = list(faulty)
    return _without_faulty(wanted.left_out, paths) if OWNING.isdisjoint(_wrong(paths)) else []


def _wrong(paths: Iterable[str]) -> set[str]:
    return {section for path in paths for section in _sections(path)}


def _without_faulty(warnings: Iterable[Caution], paths: Iterable[str]) -> list[Caution]:
    """Return the warnings about entries without faults. `paths` contains the paths of the faults."""
    entries = {_entry(path) for path in paths}
    return [caution for caution in warnings if _entry(caution[0]) not in entries]


def _missing(wanted: Wanted, wrong: set[str]) -> Iterator[Caution]:
    """Yield a warning for each limit without budgets and rate limits, and for each limit whose virtual key is missing.

    `wrong` contains the names of the sections with faults. What such a section may contain is not reported as missing.
    """
    keys = {key.id for key in wanted.keys}
    for limit in wanted.limits:
        if wrong.isdisjoint({"budgets", "rate_limits"}):
            yield from _idle(limit)
        if "virtual_keys" not in wrong:
            yield from _keyless(limit, keys)


def _sections(path: str) -> Iterable[str]:
    """Return the section that contains a path. If the path is not inside an entry, return all sections."""
    section, entry, _ = path.removeprefix("governance.").partition("[")
    return [section] if entry else SECTIONS


def _entry(path: str) -> str:
    return path.partition("]")[0]


NOTHING = "This file asks for nothing: limits stand in its section model_configs."
EXPIRED = "This virtual key has expired: calls with it are refused."


def _idle(limit: WantedLimit) -> Iterator[Caution]:
    if not limit.items:
        yield limit.path, "This limit has no budget and no rate limit: it limits nothing."


def _keyless(limit: WantedLimit, keys: set[str]) -> Iterator[Caution]:
    draft = limit.draft
    if draft.scope == Scope.VIRTUAL_KEY and draft.scope_id not in keys:
        sentence = (
            f"The virtual key '{draft.scope_id}' is not in this file: where it is not stored either, sync refuses."
        )
        yield limit.scope_path, sentence


def _shadowed(limit: WantedLimit) -> Iterator[Caution]:
    """Yield a warning for each maximum that can never refuse a call, because another maximum is always used up first.

    The other maximum has a longer window, and is the same or smaller.
    """
    for metric in Metric:
        own = [ceiling for item in limit.items for ceiling in item.ceilings if ceiling.metric == metric]
        own.sort(key=lambda ceiling: ceiling.duration.length)
        for place, shorter in enumerate(own[:-1], 1):
            longer = min(own[place:], key=lambda ceiling: ceiling.max_limit)
            if shorter.max_limit >= longer.max_limit:
                yield limit.path, f"{_amount(shorter)} is never reached: {_amount(longer)} is used up first."


def _amount(ceiling: RuleSpec) -> str:
    """Return a maximum with its window, for example `$50 / 1d` or `2000000 tokens / 1h`."""
    return shown(ceiling.metric, ceiling.max_limit, ceiling.duration.text)


def _dated(limit: WantedLimit, paths: dict[Identity, str]) -> Iterator[Caution]:
    """Yield a warning if the file contains a model name both with and without a date: these are different models."""
    identity = limit.identity
    undated = DATE.sub("", identity.model)
    twin = paths.get(identity._replace(model=undated))
    if undated not in (identity.model, ALL_MODELS) and twin is not None:
        sentence = f"'{identity.model}' is another model than '{undated}' ({twin}): a call counts on the name it gives."
        yield f"{limit.path}.model_name", sentence
