"""For any content of a store, each row is reported, imported rows are complete, and a second run imports nothing."""

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import create_app
from governance.domain.bifrost.candidates import CandidateKind, ExistingIds, ImportOutcome
from governance.domain.bifrost.plan import decide
from governance.domain.bifrost.rows import (
    BifrostRows,
    BudgetRow,
    KeyRow,
    LimitRow,
    PriceRow,
    ProviderConfigRow,
    ProviderRow,
    RateLimitRow,
)
from governance.domain.names import Identity
from governance.settings import Settings
from schemas.bifrost.rows import candidates
from tests.bifrost.stores import CURRENT, LATER, PRICES, BifrostStore
from tests.conftest import ADMIN_KEY, NOON, Api, FakeClock
from tests.metering.conftest import Meter, copied, stop

MORNING = "2026-11-23 08:00:00+00:00"


few = st.sampled_from
junk = few([None, "", "x", " x ", "X", -1, 0, 1, 1.5, 1e300, b"\xff", "a\x00b", "é" * 300, float("inf")])
ids = few([None, "", "a", "b", "c", " a", 7])
times = few(
    [
        None,
        "2026-11-23 08:00:00+00:00",
        "2026-11-23T11:59:59.5Z",
        "0001-01-01 00:00:00Z",
        "9999-12-31 23:59:59-01:00",
        "no",
        0,
        10**17,
    ]
)
spans = few(["1h", "60m", "1d", "24h", "1M", "3M", "1Q", "1Y", "junk", "", None, "0s"])
flags = few([None, 0, 1, "true", "no", 2])
KINDS = {
    "id": ids, "budget_id": ids, "rate_limit_id": ids, "model_config_id": ids, "virtual_key_id": ids, "scope_id": ids,
    "provider_config_id": ids,
    "created_at": times, "updated_at": times, "last_reset": times, "token_last_reset": times,
    "request_last_reset": times, "expires_at": times, "reset_duration": spans, "token_reset_duration": spans,
    "request_reset_duration": spans, "is_active": flags, "calendar_aligned": flags,
    "scope": few([None, "global", "virtual_key", "user", "team"]), "metric": few([None, "tokens", "requests", "x"]),
    "encryption_status": few([None, "plain_text", "encrypted"]), "value_hash": few([None, "a" * 64, "b" * 64]),
    "provider": few([None, "openai", "OpenAI", "*"]), "model_name": few(["*", "gpt-4o", "openai/GPT-4o", None, 5]),
}  # fmt: skip


PATCH = '{{"input_cost_per_token":1e-06,"output_cost_per_token_above_200k_tokens":2e-06}}'
PLAIN = {
    KeyRow: {"name": "key {}", "value": "sk-bf-{}"},
    LimitRow: {"model_name": "model-{}", "rate_limit_id": "{}"},
    BudgetRow: {"model_config_id": "{}", "max_limit": 9.5, "reset_duration": "1d", "last_reset": MORNING},
    RateLimitRow: {"token_max_limit": 50, "token_reset_duration": "1d", "token_last_reset": MORNING},
    ProviderRow: {"name": "provider-{}", "budget_id": "{}"},
    ProviderConfigRow: {"virtual_key_id": "{}", "provider": "openai", "rate_limit_id": "{}"},
    PriceRow: {"scope_kind": "global", "match_type": "exact", "pattern": "model-{}", "pricing_patch_json": PATCH},
}
USED = {BudgetRow: {"current_usage": 1.5}, RateLimitRow: {"token_current_usage": 7}}


def rows(row_type):
    """Return valid rows, each with some columns that have any value."""

    def row(letter, odd):
        plain = PLAIN[row_type] | USED.get(row_type, {}) | {"id": letter}
        named = {name: value.format(letter) if isinstance(value, str) else value for name, value in plain.items()}
        return row_type(**named)._replace(**dict(odd))

    column = few(row_type._fields).flatmap(lambda name: st.tuples(st.just(name), KINDS.get(name, junk)))
    return st.lists(st.builds(row, few("abc"), st.lists(column, max_size=4)), max_size=5).map(tuple)


ROWS = (KeyRow, LimitRow, BudgetRow, RateLimitRow, ProviderRow, ProviderConfigRow, PriceRow)
TABLES = dict(zip(LATER, ROWS, strict=True))
TOLD = {KeyRow, LimitRow, BudgetRow, RateLimitRow, PriceRow}
"""The kinds of rows that the report has. Other rows are only used to find the owners."""
stores = st.tuples(*(rows(row_type) for row_type in TABLES.values())).map(lambda found: BifrostRows(*found))


def price(letter):
    named = {name: value.format(letter) for name, value in PLAIN[PriceRow].items()}
    return PriceRow(**named, id="a")


ONE_ID_TWICE = BifrostRows(*[()] * 6, (price("a"), price("b")))


@settings(max_examples=25, deadline=None)
@given(stores)
@example(ONE_ID_TWICE)
def test_whatever_a_store_holds_what_came_is_shown_alike_from_both_sources_and_proved(template, store):
    with copied(template) as folder:
        app = create_app(Settings(instance=folder, admin_key=ADMIN_KEY), clock=FakeClock())
        file = BifrostStore(Path(folder) / "config.db", {name: ", ".join(TABLES[name]._fields) for name in TABLES})
        for name, found in zip(TABLES, store, strict=False):
            if found:
                file.run(name, [row._asdict() for row in found])
        result = app.test_cli_runner().invoke(args=["governance", "import-bifrost", str(file.path)])
        assert result.exit_code == 0, result.output
        api = Api(app.test_client())
        assert api.get("model-configs").data == api.get("model-configs?from_memory=true").data
        Meter(api, None).proven()
        stop(app)


@settings(max_examples=200, deadline=None)
@given(stores)
def test_whatever_a_store_holds_each_row_is_told_and_a_second_run_takes_nothing(store):
    nothing = ExistingIds(set(), {}, {}, set(), {}, set(), set(), {})
    minted = iter(range(10**6))
    arriving = candidates(store, NOON)
    decided = decide(arriving, nothing, now=NOON, new_id=lambda: f"minted-{next(minted)}")
    given_ids = {
        ("" if row.id is None else str(row.id).strip()) for found in store for row in found if type(row) in TOLD
    }
    told = {row.id for row in decided.notes}
    assert given_ids <= told
    assert {row.kind for row in decided.notes if row.id in told - given_ids} <= {CandidateKind.LIMIT}
    assert all(row.remarks for row in decided.notes if row.outcome == ImportOutcome.LEFT_OUT)
    identities = [Identity.of(each.scope, each.scope_id, each.provider, each.model_name) for each in decided.limits]
    rule_keys = [rule.key for limit in decided.limits for rule in limit.rules]
    assert len(set(identities)) == len(identities)
    assert len(set(rule_keys)) == len(rule_keys)
    assert all(each.start <= NOON < each.end and each.used > 0 for each in decided.openings)
    stored = ExistingIds(
        {key.id for key in decided.keys},
        {key.name: key.id for key in decided.keys},
        {key.digest: key.id for key in decided.keys},
        {limit.id for limit in decided.limits},
        dict(zip(identities, (limit.id for limit in decided.limits), strict=True)),
        {rule_id for rule_id, _ in rule_keys},
        {price.id for price in decided.prices},
        {(*price.key, price.effective_from): price.id for price in decided.prices},
    )
    assert decide(arriving, stored, now=NOON, new_id=str).changes is False


def test_the_newest_tables_are_all_those_that_are_read():
    for name, row_type in TABLES.items():
        columns = {column.split()[0] for column in LATER[name].split(", ")}
        assert set(row_type._fields) - columns <= {"budget_id", "calendar_aligned"}
    assert [*CURRENT, *PRICES] == list(LATER)
