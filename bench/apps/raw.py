"""Serves the list of model limits with hand-written code: sqlite3 and orjson, no framework, no ORM, no check of keys.

It supports only the requests of the benchmark: pages in the default order, with or without filters. It supports no
limits whose time windows follow the calendar. The environment variable `BENCH_DATABASE` names the database file of the
service.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NANOS = 1_000_000_000
SECOND = 1_000_000
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "M": 30 * 86400, "Y": 365 * 86400}
FILTERS = {
    "scope": "m.scope = ?",
    "scope_id": "m.scope_id = ?",
    "provider": "m.provider = ?",
    "search": "instr(m.search_name, ?) > 0",
}

COUNT = "SELECT count(*) FROM model_limits m {where}"
LIMITS = """
    SELECT m.id, m.model_name, m.provider, m.scope, m.scope_id,
        CASE m.scope
            WHEN 'virtual_key' THEN (SELECT name FROM virtual_keys WHERE id = m.scope_id)
            WHEN 'user' THEN (SELECT name FROM users WHERE id = m.scope_id)
        END,
        m.calendar_aligned, m.timezone, m.config_hash, m.created_at, m.updated_at
    FROM model_limits m {where} ORDER BY m.created_at DESC, m.id DESC LIMIT ? OFFSET ?
"""
RULES = """
    SELECT r.model_limit_id, r.id, r.metric, r.max_limit, r.reset_duration, r.anchor, r.config_hash, r.created_at,
        r.updated_at, c.window_start, c.window_end, c.used, c.reserved
    FROM rules r LEFT JOIN counters c
        ON c.rule_id = r.id AND c.metric = r.metric AND c.generation = r.generation AND c.window_end > ?
    WHERE r.model_limit_id IN ({marks}) ORDER BY r.model_limit_id, r.position
"""

_local = threading.local()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Return a page of model limits."""
    body = orjson.dumps(_page(dict(parse_qsl(environ["QUERY_STRING"]))))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return (body,)


def _page(query: dict[str, str]) -> dict[str, Any]:
    limit, offset = min(int(query.get("limit", 25)), 100), int(query.get("offset", 0))
    given = [name for name in FILTERS if name in query]
    where = "WHERE " + " AND ".join(FILTERS[name] for name in given) if given else ""
    values = [query[name].casefold() if name == "search" else query[name] for name in given]
    connection = _connection()
    connection.execute("BEGIN")
    try:
        now = time.time_ns() // 1000
        total = connection.execute(COUNT.format(where=where), values).fetchone()[0]
        rows = connection.execute(LIMITS.format(where=where), [*values, limit, offset]).fetchall()
        held = _rules(connection, [row[0] for row in rows], now)
    finally:
        connection.execute("COMMIT")
    shown = [_limit(row, held.get(row[0], ()), now) for row in rows]
    return {"model_configs": shown, "total_count": total, "count": len(shown), "limit": limit, "offset": offset}


def _connection() -> sqlite3.Connection:
    if not hasattr(_local, "connection"):
        _local.connection = sqlite3.connect(os.environ["BENCH_DATABASE"], isolation_level=None)
    connection: sqlite3.Connection = _local.connection
    return connection


def _rules(connection: sqlite3.Connection, ids: list[str], now: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in connection.execute(RULES.format(marks=",".join("?" * len(ids))), [now, *ids]):
        found.setdefault(row[0], []).append(row)
    return found


def _limit(row: Any, held: Iterable[Any], now: int) -> dict[str, Any]:
    limit_id, model, provider, scope, scope_id, scope_name, aligned, zone, config_hash, created, updated = row
    key = scope_id if scope == "virtual_key" else None
    budgets: list[Any] = []
    rates: dict[str, dict[str, Any]] = {}
    for rule in held:
        if rule[2] == "cost":
            budgets.append(_budget(rule, key, now))
        else:
            rates.setdefault(rule[1], {})[rule[2]] = rule
    rate_limits = [_rate_limit(sides.get("tokens"), sides.get("requests"), now) for sides in rates.values()]
    return {
        "id": limit_id,
        "model_name": model,
        "provider": provider or None,
        "scope": scope,
        "scope_id": scope_id or None,
        "scope_name": scope_name,
        "calendar_aligned": bool(aligned),
        "timezone": zone,
        "budgets": budgets,
        "budget": budgets[0] if budgets else None,
        "rate_limits": rate_limits,
        "rate_limit": rate_limits[0] if rate_limits else None,
        "config_hash": config_hash,
        "created_at": _time(created),
        "updated_at": _time(updated),
    }


def _budget(rule: Any, key: str | None, now: int) -> dict[str, Any]:
    limit_id, rule_id, _, maximum, duration, _, config_hash, created, updated, *_ = rule
    start, end, used, reserved = _window(rule, now)
    return {
        "id": rule_id,
        "max_limit": _dollars(maximum),
        "reset_duration": duration,
        "last_reset": _time(start),
        "current_usage": _dollars(used),
        "config_hash": config_hash,
        "created_at": _time(created),
        "updated_at": _time(updated),
        "calendar_aligned": False,
        "team_id": None,
        "virtual_key_id": key,
        "provider_config_id": None,
        "model_config_id": limit_id,
        "reserved": _dollars(reserved),
        "resets_at": _time(end),
    }


def _rate_limit(tokens: Any, requests: Any, now: int) -> dict[str, Any]:
    either = tokens or requests
    token, request = _side(tokens, now), _side(requests, now)
    return {
        "id": either[1],
        "token_current_usage": token[2],
        "token_last_reset": token[0],
        "request_current_usage": request[2],
        "request_last_reset": request[0],
        "config_hash": either[6],
        "created_at": _time(either[7]),
        "updated_at": _time(either[8]),
        "token_max_limit": tokens and tokens[3],
        "token_reset_duration": tokens and tokens[4],
        "request_max_limit": requests and requests[3],
        "request_reset_duration": requests and requests[4],
        "token_reserved": token[3],
        "token_resets_at": token[1],
        "request_reserved": request[3],
        "request_resets_at": request[1],
    }


def _side(rule: Any, now: int) -> tuple[str | None, str | None, int, int]:
    if rule is None:
        return None, None, 0, 0
    start, end, used, reserved = _window(rule, now)
    return _time(start), _time(end), used, reserved


def _window(rule: Any, now: int) -> Any:
    """Return the start and the end of the current window, then its used amount and its reserved amount.

    If the window has no counter yet, both amounts are 0.
    """
    if rule[9] is not None:
        return rule[9:]
    length = _length(rule[4])
    start = now - (now - rule[5]) % length
    return start, start + length, 0, 0


@lru_cache
def _length(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]] * SECOND


@lru_cache(maxsize=8192)
def _time(instant: int) -> str:
    return (EPOCH + timedelta(microseconds=instant)).isoformat().replace("+00:00", "Z")


def _dollars(nanos: int) -> int | float:
    return nanos / NANOS if nanos % NANOS else nanos // NANOS
