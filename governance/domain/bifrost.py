"""Which rows of Bifrost's store belong together: to each limit its budgets and rate limits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from governance.domain.bifrost_rows import BudgetRow, KeyRow, LimitRow, RateLimitRow, Store
from governance.domain.limits import Scope
from governance.domain.names import ALL_MODELS


class Whole(NamedTuple):
    """A limit's row with the rows of its budgets and rate limits.

    `own` marks one that has no row: a virtual key's own budgets and rate limit, which newer stores keep as a limit of
    the key on all models.
    """

    row: LimitRow
    budgets: list[BudgetRow]
    rate_limits: list[RateLimitRow]
    own: bool = False


class Stray(NamedTuple):
    """A budget or rate limit of no limit of ours, and why."""

    row: BudgetRow | RateLimitRow
    reason: str


FOREIGN = {
    "team_id": "It belongs to a team, and there are none here.",
    "customer_id": "It belongs to a customer, and there are none here.",
    "provider_config_id": "It belongs to a virtual key's provider settings, which are not read.",
}
NOBODY = "No model limit and no virtual key refers to it."


def assemble(store: Store) -> tuple[list[Whole], list[Stray]]:
    """The limits of a store, each with what belongs to it, and what belongs to none."""
    return _Assembly(store).result()


class _Assembly:
    """Hands each budget and rate limit to the limits that it belongs to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wholes = [Whole(row, [], []) for row in store.limits]
        self._by_id = {whole.row.id: whole for whole in self._wholes}
        self._keys = {row.id: row for row in store.virtual_keys}
        self._of_keys = {whole.row.scope_id: whole for whole in self._wholes if _on_all_models(whole.row)}

    def result(self) -> tuple[list[Whole], list[Stray]]:
        strays = [
            *self._hand_out(self._store.budgets, "budget_id"),
            *self._hand_out(self._store.rate_limits, "rate_limit_id"),
        ]
        return self._wholes, strays

    def _hand_out(self, rows: Sequence[Any], reference: str) -> Iterator[Stray]:
        naming = self._naming(reference, {row.id for row in rows})
        for row in rows:
            owners, reason = self._owners(row, naming.get(row.id, []))
            for owner in owners:
                (owner.budgets if isinstance(row, BudgetRow) else owner.rate_limits).append(row)
            if not owners:
                yield Stray(row, reason)

    def _naming(self, reference: str, ids: set[Any]) -> dict[Any, list[Whole]]:
        """Who names each of these budgets or rate limits: limits by their column, virtual keys by theirs."""
        found: dict[Any, list[Whole]] = {}
        for whole in self._wholes:
            found.setdefault(getattr(whole.row, reference), []).append(whole)
        for key in self._store.virtual_keys:
            named = getattr(key, reference)
            if named in ids and all(known is not self._key_limit(key) for known in found.setdefault(named, [])):
                found[named].append(self._key_limit(key))
        return found

    def _owners(self, row: Any, naming: list[Whole]) -> tuple[list[Whole], str]:
        """The limits that a row belongs to, or why to none."""
        if row.model_config_id:
            owner = self._by_id.get(row.model_config_id)
            return [owner] if owner else [], f"Its model limit '{row.model_config_id}' is not in the store."
        if getattr(row, "virtual_key_id", None):
            key = self._keys.get(row.virtual_key_id)
            return [self._key_limit(key)] if key else [], f"Its virtual key '{row.virtual_key_id}' is not in the store."
        return naming, next((why for name, why in FOREIGN.items() if getattr(row, name, None)), NOBODY)

    def _key_limit(self, key: KeyRow) -> Whole:
        """The limit of a virtual key on all models, made where the store has none."""
        if key.id not in self._of_keys:
            made = Whole(_own_limit(key), [], [], own=True)
            self._of_keys[key.id] = made
            self._wholes.append(made)
        return self._of_keys[key.id]


def _on_all_models(row: LimitRow) -> bool:
    return row.scope == Scope.VIRTUAL_KEY and row.model_name == ALL_MODELS and not row.provider


def _own_limit(key: KeyRow) -> LimitRow:
    """What a newer store would hold for a key's own budgets and rate limit; the key's id becomes the limit's too."""
    return LimitRow(
        id=key.id,
        model_name=ALL_MODELS,
        scope=Scope.VIRTUAL_KEY.value,
        scope_id=key.id,
        calendar_aligned=key.calendar_aligned,
        created_at=key.created_at,
        updated_at=key.updated_at,
    )


def missing(row: KeyRow | LimitRow, known: Mapping[str, set[Any]]) -> Iterator[str]:
    """What a row refers to that the store has not; `known` has the ids by the column that refers to them."""
    for reference, ids in known.items():
        named = getattr(row, reference)
        if named and named not in ids:
            yield f"Its {reference} '{named}' is not in the store."
