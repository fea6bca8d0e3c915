"""Runs Datasette on the service's database, to serve pages of model limits as JSON.

A page is the result of one SQL query. Its column `rules` is a JSON array with the rules of a limit. A rule is one
maximum, for example of dollars per day. Each rule contains its usage in the current time window, if there is any.
Datasette's suggestion of facets is switched off. The environment variable `BENCH_DATABASE` names the database file.
"""

import os

from datasette.app import Datasette

PAGE = """
    SELECT m.id, m.model_name, m.provider, m.scope, m.scope_id,
        CASE m.scope
            WHEN 'virtual_key' THEN (SELECT name FROM virtual_keys WHERE id = m.scope_id)
            WHEN 'user' THEN (SELECT name FROM users WHERE id = m.scope_id)
        END AS scope_name,
        m.calendar_aligned, m.timezone, m.config_hash, m.created_at, m.updated_at,
        (SELECT json_group_array(json_object(
            'id', r.id, 'metric', r.metric, 'max_limit', r.max_limit, 'reset_duration', r.reset_duration,
            'config_hash', r.config_hash, 'created_at', r.created_at, 'updated_at', r.updated_at,
            'window_start', c.window_start, 'window_end', c.window_end, 'used', c.used, 'reserved', c.reserved))
        FROM rules r LEFT JOIN counters c ON c.rule_id = r.id AND c.metric = r.metric AND c.generation = r.generation
            AND c.window_end > CAST(unixepoch() AS INTEGER) * 1000000
        WHERE r.model_limit_id = m.id) AS rules,
        (SELECT count(*) FROM model_limits) AS total_count
    FROM model_limits m ORDER BY m.created_at DESC, m.id DESC LIMIT 25 OFFSET :offset
"""

app = Datasette(
    [os.environ["BENCH_DATABASE"]],
    metadata={"databases": {"governance": {"queries": {"page": {"sql": PAGE}}}}},
    settings={"suggest_facets": False},
).app()
