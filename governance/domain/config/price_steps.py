"""The plan's steps for price overrides. An entry is matched by id, else by model and time."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from governance.domain.config.entries import WantedPrice
from governance.domain.config.plan_steps import Action, PlanContext, Step, edit_note, recreation_note, stores_hash
from governance.domain.errors import Fault
from governance.domain.pricing import drafts
from governance.domain.pricing.overrides import ModelKey, PriceOverride, alias_fault
from governance.domain.records.differences import of_prices
from governance.domain.records.stored import PRICE, ManagedPrice

TAKEN = "Give the id '{}', or leave the override out: it is for the same model and begins at the same time."


def steps(context: PlanContext, prices: Sequence[WantedPrice]) -> list[Step]:
    """Return a step for each entry."""
    by_identity = {drafts.draft_of(row.price).identity: row for row in context.stored.prices.values()}
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
    """Yield the faults of entries that contradict stored overrides which stay, or that lead to another alias."""
    after = {step.id: step.after.price for step in planned if isinstance(step.after, ManagedPrice)}
    staying = {row_id: row.price for row_id, row in stored.items() if row_id not in after and row_id not in removed}
    taken = {drafts.draft_of(price).identity: row_id for row_id, price in staying.items()}
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
    """Return the removal of an override that its file no longer has."""
    price = row.price
    return Step(Action.REMOVE, PRICE, price.id, _title(price), of_prices(price, None), None, row, None)


def _aliases(prices: Iterable[PriceOverride]) -> Mapping[ModelKey, Sequence[PriceOverride]]:
    """Return the aliases by their own model and by the model that they lead to."""
    found: defaultdict[ModelKey, list[PriceOverride]] = defaultdict(list)
    for each in prices:
        if each.target is not None:
            found[each.key].append(each)
            found[each.target].append(each)
    return found


def _step(context: PlanContext, entry: WantedPrice, row: ManagedPrice | None) -> Step:
    if row is None:
        price = drafts.override(entry.draft, entry.id, context.now, context.now)
        after, note = ManagedPrice(price, entry.config_hash, context.source), recreation_note(context, PRICE, entry.id)
        return Step(Action.CREATE, PRICE, price.id, _title(price), of_prices(None, price), note, None, after)
    edited, same = _edited(row.price, entry, context.now), row.config_hash == entry.config_hash
    differences = of_prices(row.price, edited)
    note = edit_note(context) if differences and same else None
    known = row._replace(config_hash=entry.config_hash, source=context.with_place(row.source))
    if differences and (context.overwrite or not same):
        after = known._replace(price=edited)
        return Step(Action.CHANGE, PRICE, edited.id, _title(edited), differences, note, row, after)
    kept = known if stores_hash(row.source, context) else row
    return Step(Action.KEEP, PRICE, row.price.id, _title(row.price), differences, note, row, kept)


def _edited(before: PriceOverride, entry: WantedPrice, now: int) -> PriceOverride:
    after = drafts.override(entry.draft, before.id, before.created_at, before.updated_at)
    return before if after == before else after._replace(updated_at=now)


def _title(price: PriceOverride) -> str:
    return f"price of {price.name}"
