"""Reads every limit, virtual key, user and price override, to compare them with a config file.

It also reads the source of each row, which is the config file that created the row. Usage counters are not read.
"""

from sqlalchemy import null, select
from sqlalchemy.engine import Connection

from governance.domain.keys import User, VirtualKey
from governance.domain.pricing.overrides import PriceOverride
from governance.domain.records.stored import (
    KEY,
    LIMIT,
    PRICE,
    USER,
    ManagedKey,
    ManagedLimit,
    ManagedPrice,
    ManagedUser,
    Source,
    StoredRows,
)
from governance.storage.keys.users import users as user_rows
from governance.storage.keys.virtual_keys import virtual_keys as key_rows
from governance.storage.limits import states
from governance.storage.pricing.price_overrides import price_overrides as price_rows
from governance.storage.tables import model_limits, prices, rules, tombstones, users, virtual_keys

ENTITIES = (LIMIT, KEY, USER, PRICE)

_limits = select(*states.LIMIT_COLUMNS, model_limits.c.source, model_limits.c.place)
_no_counter = [null().label(column.name) for column in states.COUNTER_COLUMNS]
_rules = select(rules.c.model_limit_id, *_no_counter, *states.RULE_COLUMNS).order_by(
    rules.c.model_limit_id, rules.c.position
)
_keys = select(*key_rows.columns, virtual_keys.c.config_hash, virtual_keys.c.source, virtual_keys.c.place)
_users = select(*user_rows.columns, users.c.config_hash, users.c.source, users.c.place)
_prices = select(*price_rows.columns, prices.c.config_hash, prices.c.source, prices.c.place)


def current_state(connection: Connection) -> StoredRows:
    """Return all stored limits, virtual keys, users and price overrides, and the ids of deleted rows."""
    counted = states.group(connection.execute(_rules).all())
    rows = connection.execute(_limits).all()
    limits = (ManagedLimit(states.limit_of(row, counted)[0], Source(row.source, row.place)) for row in rows)
    keys = (
        ManagedKey(VirtualKey._make(row[:-3]), row.config_hash, Source(row.source, row.place))
        for row in connection.execute(_keys).all()
    )
    people = (
        ManagedUser(User._make(row[:-3]), row.config_hash, Source(row.source, row.place))
        for row in connection.execute(_users).all()
    )
    overrides = (
        ManagedPrice(PriceOverride._make(row[:-3]), row.config_hash, Source(row.source, row.place))
        for row in connection.execute(_prices).all()
    )
    gone = connection.execute(select(tombstones.c.entity, tombstones.c.id).where(tombstones.c.entity.in_(ENTITIES)))
    return StoredRows(
        limits={row.limit.id: row for row in limits},
        keys={row.key.id: row for row in keys},
        users={row.user.id: row for row in people},
        prices={row.price.id: row for row in overrides},
        deleted=frozenset((entity, row_id) for entity, row_id in gone),
    )
