"""Converts the pricing overrides of Bifrost (an LLM gateway) to price overrides of this service.

A price override is a price that users set for a model. In Bifrost, an override contains only some prices, in dollars
per token, and the other prices come from Bifrost's own list. In this service, an override contains all prices of a
model, in dollars per million tokens. The schema of `POST /prices` checks each override.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from governance.domain.bifrost.candidates import CandidateKind, CandidatePrice, ImportNote
from governance.domain.bifrost.rows import PriceRow
from governance.domain.errors import InvalidRequest
from governance.domain.pricing import drafts
from schemas.bifrost import budgets_and_rate_limits
from schemas.loading import load
from schemas.pricing.bodies import NewPrice, PriceCreate

BODY = PriceCreate()
MILLION = 10**6
SCOPES = ("global", "provider")
EXACT = "exact"
RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
}
"""For each of Bifrost's names for a token price, the name of the same price in this service."""
TIERS = {"_above_128k_tokens": 128_000, "_above_200k_tokens": 200_000}
"""For each suffix of a price name in Bifrost, a number of input tokens.

A price whose name has the suffix applies to calls with more input tokens than this number.
"""

OF_A_KEY = "It holds for a virtual key or a provider's key; prices here are of a model, for everybody."
OF_A_PATTERN = "It is for all models like '{}'; prices here are of one model."
NO_PATCH = "Its prices cannot be read."
NO_INPUT = "It has no input_cost_per_token; a price here is a whole one."
OF_ALL_KINDS = "In Bifrost it is for some kinds of requests, here for all."
NOT_TAKEN = "Not taken, since nothing here counts it: {}."


def candidate(row: PriceRow, now: int) -> tuple[ImportNote, CandidatePrice | None]:
    """Convert an override to a candidate: a price override that can be imported, with a note for the import's report.

    If the override cannot be imported, return the note with the reasons, and None.
    """
    note = ImportNote(CandidateKind.PRICE, budgets_and_rate_limits.id_text(row), str(row.name))
    if row.scope_kind not in SCOPES:
        return note.left_out(OF_A_KEY), None
    if row.match_type != EXACT:
        return note.left_out(OF_A_PATTERN.format(row.pattern)), None
    patch = _patch(row.pricing_patch_json)
    if patch is None:
        return note.left_out(NO_PATCH), None
    if "input_cost_per_token" not in patch:
        return note.left_out(NO_INPUT), None
    body, rest = _body(patch)
    whose = {"id": note.id, "model": row.pattern, "provider": row.provider_id or None}
    try:
        new: NewPrice = load(BODY, {**whose, **body})
    except InvalidRequest as error:
        return note.left_out(*(fault.message for fault in error.faults)), None
    remarks = [
        *([OF_ALL_KINDS] if row.request_types_json else []),
        *([NOT_TAKEN.format(", ".join(rest))] if rest else []),
    ]
    note = note.saying(*remarks)
    price = drafts.override(new.draft, note.id, *budgets_and_rate_limits.times(row, now))
    return note, CandidatePrice(note, price)


def _patch(text: Any) -> Mapping[str, Any] | None:
    """Parse the JSON of an override. Return the prices that are not null, as exact numbers.

    Return None if the text is not a JSON object, or if a value is neither a number nor null.
    """
    try:
        patch = json.loads(text, parse_float=Decimal)
    except (TypeError, ValueError):
        return None
    if not isinstance(patch, Mapping):
        return None
    given = {name: value for name, value in patch.items() if value is not None}
    numbers = all(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in given.values())
    return given if numbers else None


def _body(patch: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the body of `POST /prices` without the model, and the names of the prices that this service cannot use."""
    body: dict[str, Any] = {}
    tiers: dict[int, dict[str, Any]] = {}
    rest = []
    for name, value in patch.items():
        ending = next((each for each in TIERS if name.endswith(each)), "")
        kind = RATES.get(name.removesuffix(ending))
        if kind is None:
            rest += [name] if value else []
        elif ending:
            tiers.setdefault(TIERS[ending], {})[kind] = value * MILLION
        else:
            body[kind] = value * MILLION
    if tiers:
        body["tiers"] = [{"above": above, **rates} for above, rates in sorted(tiers.items())]
    return body, sorted(rest)
