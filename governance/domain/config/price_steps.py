"""Computes the steps of a sync for price overrides.

A sync changes the stored rows so that they match the entries of a config file. A step is the change of one row. An
entry matches the stored override with the same id. If no override has this id, the entry matches the stored override
for the same model and start time, unless the id of that override is in the file too. An alias is an override that says
which other model has the same price.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from governance.domain.config import entry_steps
from governance.domain.config.entries import WantedPrice
from governance.domain.config.entry_steps import EntryKind
from governance.domain.config.plan_steps import PlanContext, Step
from governance.domain.errors import Fault
from governance.domain.pricing import drafts
from governance.domain.pricing.overrides import ModelKey, PriceOverride, alias_fault
from governance.domain.records.differences import of_prices
from governance.domain.records.stored import PRICE, ManagedPrice

KIND = EntryKind(PRICE, ManagedPrice, of_prices, lambda price: f"price of {price.name}")
TAKEN = "Give the id '{}', or leave the override out: it is for the same model and begins at the same time."


def steps(context: PlanContext, prices: Sequence[WantedPrice]) -> list[Step]:
    """Return a step for each entry."""
    by_identity = {row.price.identity: row for row in context.stored.prices.values()}
    ids = {entry.id for entry in prices}
    found = []
    for entry in prices:
        row = context.stored.prices.get(entry.id)
        same = by_identity.get(entry.draft.identity)
        if row is None and same is not None and same.price.id not in ids:
            row = same
        found.append(_step(context, entry, row))
    return found


def faults(
    stored: Mapping[str, ManagedPrice],
    removed: Collection[str],
    prices: Sequence[WantedPrice],
    planned: Sequence[Step],
) -> Iterator[Fault]:
    """Yield a fault for each entry with the same model and start time as another stored override that stays.

    Also yield a fault for each alias that leads to another alias.
    """
    after = {step.id: step.after.price for step in planned if isinstance(step.after, ManagedPrice)}
    staying = {row_id: row.price for row_id, row in stored.items() if row_id not in after and row_id not in removed}
    taken = {price.identity: row_id for row_id, price in staying.items()}
    beside = _aliases([*after.values(), *staying.values()])
    for entry, step in zip(prices, planned, strict=True):
        other = taken.get(entry.draft.identity)
        if other is not None:
            yield Fault(f"{entry.path}.model", TAKEN.format(other))
        alias = after[step.id]
        if alias.target is not None:
            others = [*beside.get(alias.target, ()), *beside.get(alias.key, ())]
            fault = alias_fault(alias, [each for each in others if each.id != alias.id])
            if fault:
                yield Fault(f"{entry.path}.same_as", fault)


def removal(row: ManagedPrice) -> Step:
    """Return the step that removes an override whose entry is no longer in its file."""
    return entry_steps.removal(KIND, row)


def _aliases(prices: Iterable[PriceOverride]) -> Mapping[ModelKey, Sequence[PriceOverride]]:
    """Return the aliases by model. Each alias is listed under its own model, and under the model to which it leads."""
    found: defaultdict[ModelKey, list[PriceOverride]] = defaultdict(list)
    for each in prices:
        if each.target is not None:
            found[each.key].append(each)
            found[each.target].append(each)
    return found


def _step(context: PlanContext, entry: WantedPrice, row: ManagedPrice | None) -> Step:
    now = context.now
    price = drafts.override(entry.draft, entry.id, now, now) if row is None else _edited(row.price, entry, now)
    return entry_steps.step(KIND, context, entry.config_hash, row, price)


def _edited(before: PriceOverride, entry: WantedPrice, now: int) -> PriceOverride:
    after = drafts.override(entry.draft, before.id, before.created_at, before.updated_at)
    return before if after == before else after._replace(updated_at=now)
