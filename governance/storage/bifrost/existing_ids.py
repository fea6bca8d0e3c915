"""Reads the stored ids, names, digests and identities all at once, so an import needs no query for each row.

A digest is the hash of a virtual key's secret. The identity of a limit is its scope, scope id, provider and model.
"""

from sqlalchemy import select
from sqlalchemy.engine import Connection

from governance.domain.bifrost.candidates import ExistingIds
from governance.domain.names import Identity
from governance.storage.tables import model_limits, prices, rules, virtual_keys


def existing_ids(connection: Connection) -> ExistingIds:
    """Return the ids, names, digests and identities of all virtual keys, limits, rules and price overrides."""
    keys = connection.execute(select(virtual_keys.c.id, virtual_keys.c.name, virtual_keys.c.digest)).all()
    limits = connection.execute(
        select(
            model_limits.c.id,
            model_limits.c.scope,
            model_limits.c.scope_id,
            model_limits.c.match_provider,
            model_limits.c.match_name,
        )
    ).all()
    priced = connection.execute(
        select(prices.c.id, prices.c.match_provider, prices.c.match_model, prices.c.effective_from)
    ).all()
    return ExistingIds(
        keys={key_id for key_id, _, _ in keys},
        names={name: key_id for key_id, name, _ in keys},
        digests={digest: key_id for key_id, _, digest in keys},
        limits={limit_id for limit_id, *_ in limits},
        identities={Identity._make(identity): limit_id for limit_id, *identity in limits},
        items=set(connection.execute(select(rules.c.id).distinct()).scalars()),
        prices={price_id for price_id, *_ in priced},
        priced={(provider, model, begins): price_id for price_id, provider, model, begins in priced},
    )
