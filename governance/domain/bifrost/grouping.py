"""Groups the rows of Bifrost's database: assigns each budget and rate limit to the limits that it belongs to.

Bifrost is an LLM gateway. A budget or a rate limit is called an item here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from governance.domain.bifrost.rows import (
    BifrostRows,
    BudgetRow,
    KeyRow,
    LimitRow,
    ProviderConfigRow,
    ProviderRow,
    RateLimitRow,
)
from governance.domain.limits.limit import Scope
from governance.domain.names import ALL_MODELS, canonical_provider

OF_KEY = "Bifrost keeps this with the virtual key itself; here it is a limit of the key on all models."
OF_CONFIG = (
    "Bifrost keeps this with the virtual key's provider settings; here it is a limit of the key on all models of the "
    "provider."
)
OF_PROVIDER = "Bifrost keeps this with the provider itself; here it is a limit on all its models."


class LimitRows(NamedTuple):
    """The row of a limit, with the rows of its budgets and rate limits.

    If Bifrost has no row for the limit, `origin` says where Bifrost keeps the limit's budgets and rate limits.
    """

    row: LimitRow
    budgets: list[BudgetRow]
    rate_limits: list[RateLimitRow]
    origin: str | None = None


class UnusedItem(NamedTuple):
    """A budget or rate limit that belongs to no limit here, and the reason."""

    row: BudgetRow | RateLimitRow
    reason: str


TEAM = "It belongs to a team, and there are none here."
CUSTOMER = "It belongs to a customer, and there are none here."
OWNERS = {"team_id": TEAM, "customer_id": CUSTOMER}
TABLES = {"governance_teams": TEAM, "governance_customers": CUSTOMER}
NOBODY = "No model limit and no virtual key refers to it."
NO_KEY = "A virtual key without an id refers to it."
NO_PROVIDER = "A provider without a name refers to it."
NO_CONFIG = "It belongs to provider settings without a provider, or of a virtual key that is not in the store."


def reference(value: Any) -> str | None:
    """Convert an id to the form in which ids are compared: text without leading or trailing spaces.

    A missing or empty id becomes None.
    """
    text = str(value).strip() if isinstance(value, str | int) else ""
    return text or None


def assemble(store: BifrostRows) -> tuple[list[LimitRows], list[UnusedItem]]:
    """Return the limits of Bifrost's database with their items, and the items that belong to no limit."""
    return _Assembly(store).result()


class _Assembly:
    """Assigns each budget and rate limit to the limits that it belongs to."""

    def __init__(self, store: BifrostRows) -> None:
        self._store = store
        self._limits = [LimitRows(row, [], []) for row in store.limits]
        self._by_id = {found: limit for limit in self._limits if (found := reference(limit.row.id))}
        self._keys = {found: row for row in store.virtual_keys if (found := reference(row.id))}
        self._configs = {found: row for row in store.provider_configs if (found := reference(row.id))}
        self._by_scope = {key: limit for limit in self._limits if (key := _scope_key(limit.row))}
        self._without_limit: dict[tuple[str, str], str] = {}
        self._foreign = {
            (column, found): table for table, column, value in store.references if (found := reference(value))
        }

    def result(self) -> tuple[list[LimitRows], list[UnusedItem]]:
        unused = [
            *self._assign(self._store.budgets, "budget_id"),
            *self._assign(self._store.rate_limits, "rate_limit_id"),
        ]
        return self._limits, unused

    def _assign(self, rows: Sequence[Any], column: str) -> Iterator[UnusedItem]:
        by_item = self._limits_by_item(column, {found for row in rows if (found := reference(row.id))})
        for row in rows:
            reasons: list[str] = []
            named = by_item.get(reference(row.id) or "", [])
            owners = _unique([*self._owners(row, reasons), *named])
            for owner in owners:
                (owner.budgets if isinstance(row, BudgetRow) else owner.rate_limits).append(row)
            if not owners:
                yield UnusedItem(row, next(iter([*reasons, *self._foreign_reasons(row, column)]), NOBODY))

    def _limits_by_item(self, column: str, ids: set[str]) -> dict[str, list[LimitRows]]:
        """Return the limits that use each item, by item id.

        `column` is the column in which the row of a limit, key or provider refers to an item.
        """
        store = self._store
        found: dict[str, list[LimitRows]] = {}
        rows: list[tuple[Any, LimitRows | None]] = [
            (limit.row, limit) for limit in self._limits if limit.origin is None
        ]
        rows += ((owner, None) for owner in (*store.virtual_keys, *store.provider_configs, *store.providers))
        for row, known in rows:
            named = reference(getattr(row, column))
            if named in ids and named is not None:
                limit, why = (known, "") if known else self._limit_of(row)
                if limit is not None:
                    found.setdefault(named, []).append(limit)
                else:
                    self._without_limit.setdefault((column, named), why)
        return found

    def _limit_of(self, owner: KeyRow | ProviderConfigRow | ProviderRow) -> tuple[LimitRows | None, str]:
        """Return the limit that gets the items of a virtual key, of a provider, or of a key's provider settings.

        If there is no such limit, return None and the reason.
        """
        if isinstance(owner, KeyRow):
            return self._limit_on_all(_limit_of_key(owner, None), OF_KEY), NO_KEY
        if isinstance(owner, ProviderRow):
            return self._limit_on_all(_limit_of_provider(owner), OF_PROVIDER), NO_PROVIDER
        key = self._keys.get(reference(owner.virtual_key_id) or "")
        provider = reference(owner.provider)
        return self._limit_on_all(_limit_of_key(key, provider), OF_CONFIG) if key and provider else None, NO_CONFIG

    def _owners(self, row: Any, reasons: list[str]) -> Iterator[LimitRows]:
        """Yield the limits to which the row of an item refers.

        If a reference leads to no limit, append the reason to `reasons`.
        """
        kinds: tuple[tuple[str, Mapping[str, Any], str], ...] = (
            ("model_config_id", self._by_id, "Its model limit '{}' is not in the store."),
            ("virtual_key_id", self._keys, "Its virtual key '{}' is not in the store."),
            (
                "provider_config_id",
                self._configs,
                "It belongs to a virtual key's provider settings '{}', which are not in the store.",
            ),
        )
        for column, known, sentence in kinds:
            named = reference(getattr(row, column, None))
            owner = known.get(named or "")
            if isinstance(owner, LimitRows):
                yield owner
            elif owner is not None:
                limit, why = self._limit_of(owner)
                yield from [limit] if limit else []
                reasons += [] if limit else [why]
            elif named is not None:
                reasons.append(sentence.format(named))

    def _foreign_reasons(self, row: Any, column: str) -> Iterator[str]:
        """Yield the reasons why an item has no limit here.

        The owner of the item is a team or a customer, or the owner's row is incomplete, or the import does not read the
        owner's table.
        """
        yield from (why for name, why in OWNERS.items() if reference(getattr(row, name, None)))
        own = column, reference(row.id) or ""
        yield from [self._without_limit[own]] if own in self._without_limit else []
        table = self._foreign.get(own)
        if table is not None:
            yield TABLES.get(table, f"A row of {table} refers to it, and that table is not read.")

    def _limit_on_all(self, row: LimitRow, origin: str) -> LimitRows | None:
        """Return the limit on all models that has the scope and the provider of `row`.

        If there is no such limit, add `row` as a new one. If its id is taken, its id gets a suffix. Return None if
        `row` lacks the scope id or the provider that it needs.
        """
        key = _scope_key(row)
        if key is None:
            return None
        if key not in self._by_scope:
            while row.id in self._by_id:
                row = row._replace(id=f"{row.id}-limit")
            self._by_scope[key] = self._by_id[row.id] = LimitRows(row, [], [], origin)
            self._limits.append(self._by_scope[key])
        return self._by_scope[key]


def _unique(limits: list[LimitRows]) -> list[LimitRows]:
    return list({id(limit): limit for limit in limits}.values())


def _scope_key(row: LimitRow) -> tuple[str, str, str] | None:
    """Return the (scope, scope id, provider) of a limit on all models.

    Return None for any other limit and for a faulty one.
    """
    scope, scope_id, provider = row.scope or Scope.GLOBAL.value, reference(row.scope_id), reference(row.provider)
    if row.model_name != ALL_MODELS or (scope == Scope.GLOBAL and provider is None):
        return None
    if scope != Scope.GLOBAL and (scope != Scope.VIRTUAL_KEY or scope_id is None):
        return None
    return scope, "" if scope == Scope.GLOBAL else scope_id or "", canonical_provider(provider)


def _limit_of_key(key: KeyRow, provider: str | None) -> LimitRow:
    """Build a limit row for a key's budgets and rate limit, as newer versions of Bifrost store it.

    The id of the row is the id of the key. If there is a provider, the id also contains the provider.
    """
    own_id = reference(key.id)
    return LimitRow(
        id=own_id if provider is None else f"{own_id}-{provider}",
        model_name=ALL_MODELS,
        provider=provider,
        scope=Scope.VIRTUAL_KEY.value,
        scope_id=key.id,
        calendar_aligned=key.calendar_aligned,
        created_at=key.created_at,
        updated_at=key.updated_at,
    )


def _limit_of_provider(provider: ProviderRow) -> LimitRow:
    """Build a limit row for a provider's budget and rate limit, as newer versions of Bifrost store it."""
    return LimitRow(
        id=f"provider-{reference(provider.name)}",
        model_name=ALL_MODELS,
        provider=reference(provider.name),
        scope=Scope.GLOBAL.value,
        created_at=provider.created_at,
        updated_at=provider.updated_at,
    )


def missing(row: KeyRow | LimitRow, known: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield a remark for each reference in a row to an id that does not exist.

    `known` contains, for each column, the ids that exist.
    """
    for column, ids in known.items():
        named = reference(getattr(row, column))
        if named is not None and named not in ids:
            yield f"Its {column} '{named}' is not in the store."
