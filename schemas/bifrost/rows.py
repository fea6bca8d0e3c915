"""Converts the rows of a database of Bifrost (an LLM gateway) to candidates, the rows that can be imported.

Each row is checked by the schema of the HTTP body that creates the same object. A row that the schema refuses is left
out, and the import's report gives the reason. The other rows are still imported.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from marshmallow import Schema

from governance.domain import coercion
from governance.domain.bifrost import grouping
from governance.domain.bifrost.candidates import (
    CandidateKey,
    CandidateKind,
    CandidateLimit,
    CandidatePrice,
    Candidates,
    ImportNote,
)
from governance.domain.bifrost.grouping import LimitRows, reference
from governance.domain.bifrost.plan import WITH_ITS_LIMIT
from governance.domain.bifrost.rows import BifrostRows, KeyRow, LimitRow, PriceRow
from governance.domain.errors import InvalidRequest
from governance.domain.keys import VirtualKey, digest, shown_prefix
from governance.domain.limits.drafts import LimitDraft
from governance.domain.limits.limit import Scope, model_words, scope_words
from governance.domain.names import ALL_MODELS, Identity
from schemas.bifrost import budgets_and_rate_limits, prices
from schemas.bifrost.budgets_and_rate_limits import item_note, reasons
from schemas.bifrost.limits import ReadRules, items_of
from schemas.fields import Name
from schemas.keys import LONGEST_DESCRIPTION, VirtualKeyCreate
from schemas.limits.model_limits import ModelLimitCreate
from schemas.loading import load

PLAIN = (None, "", "plain_text")
REFERENCE = "env."
"""If the value of a virtual key has this prefix, the rest is the name of an environment variable."""

NO_VALUE = (
    "Its value {}, and no SHA-256 of it is stored: create the key here with its id and its value, then import again."
)
TIDIED = "Its description was shortened, or lost control characters."
IN_A_TEAM = "In Bifrost it belongs to a team or customer, whose limits do not come along."
BLOCKS_ALL = (
    "Bifrost refuses every call under it, since {} allows nothing, and no limit here says so: {}create it here with "
    "the smallest maximum (0.000000001 dollars, 1 token or 1 request)."
)
OF_A_KEY = "deactivate its virtual key, or "
UNCAPPED = (
    "Bifrost refuses every call of it under '{}', which was left out: deactivate it here, until that is replaced."
)
BLOCKED_ALL = "Bifrost refuses every call under it, since {} allows nothing; here only the rest of it holds."
CAPS_LESS = "It caps less here than in Bifrost: {} could not come whole, and its own line says why."


class LimitBody(ModelLimitCreate):
    """The body of a new model limit, with the id that the limit has in Bifrost."""

    id = Name(required=True)  # type: ignore[assignment]  # in other bodies the id is read-only


KEY = VirtualKeyCreate(only=("id", "name", "description", "is_active", "calendar_aligned", "expires_at"))
LIMIT = LimitBody(only=("id", "model_name", "provider", "scope", "scope_id", "calendar_aligned"))


def candidates(store: BifrostRows, now: int) -> Candidates:
    """Return all rows of a database of Bifrost: those to import as candidates, the others as notes with the reasons."""
    return _Reader(store, now).read()


class _Reader:
    """Converts the rows of a database, and collects the notes on the rows that are left out."""

    def __init__(self, store: BifrostRows, now: int) -> None:
        self._store = store
        self._now = now
        self._known = {
            "budget_id": {found for row in store.budgets if (found := reference(row.id))},
            "rate_limit_id": {found for row in store.rate_limits if (found := reference(row.id))},
        }
        self._left_out: list[ImportNote] = []
        self._blocked: dict[str, str] = {}

    def read(self) -> Candidates:
        limits, unused = grouping.assemble(self._store)
        candidates = [each for limit in limits for each in self._limit(limit)]
        keys = [key for row in self._store.virtual_keys for key in self._key(row)]
        self._left_out += [item_note(row).left_out(reason) for row, reason in unused]
        priced = [found for row in self._store.prices for found in self._price(row)]
        return Candidates(keys, candidates, priced, self._left_out, self._store.unread)

    def _price(self, row: PriceRow) -> Iterator[CandidatePrice]:
        note, found = prices.candidate(row, self._now)
        if found is None:
            self._left_out.append(note)
        else:
            yield found

    def _key(self, row: KeyRow) -> Iterator[CandidateKey]:
        note = ImportNote(CandidateKind.VIRTUAL_KEY, budgets_and_rate_limits.id_text(row), str(row.name))
        secret, shown = _secret(row)
        data = self._loaded(note, KEY, _key_body(row), row, *([] if secret else [NO_VALUE.format(_why_not(row))]))
        if data is not None:
            note = note.saying(*_key_remarks(row), *grouping.missing(row, self._known))
            blocked = self._blocked.get(note.id)
            note = note.saying(UNCAPPED.format(blocked)) if blocked else note
            created_at, updated_at = budgets_and_rate_limits.times(row, self._now)
            key = VirtualKey(**data, digest=secret, value_prefix=shown, created_at=created_at, updated_at=updated_at)
            yield CandidateKey(note, key)

    def _limit(self, rows: LimitRows) -> Iterator[CandidateLimit]:
        row = rows.row
        note = ImportNote(CandidateKind.LIMIT, budgets_and_rate_limits.id_text(row), _limit_name(row))
        found = items_of(rows, note.name, self._now)
        draft: LimitDraft | None = self._loaded(note, LIMIT, _limit_body(row, aligned=found.aligned), row)
        self._left_out += found.left_out
        if draft is None:
            self._left_out += [item.note.left_out(WITH_ITS_LIMIT) for item in found.items]
            return
        if found.blocking and not found.items:
            instead = OF_A_KEY if draft.scope == Scope.VIRTUAL_KEY else ""
            if draft.identity == Identity.of(Scope.VIRTUAL_KEY, draft.scope_id, None, ALL_MODELS):
                self._blocked[draft.scope_id or ""] = note.id
            self._left_out.append(note.left_out(BLOCKS_ALL.format(_listed(found.blocking), instead)))
            return
        note = note.saying(*([rows.origin] if rows.origin else []), *grouping.missing(row, self._known))
        note = note.saying(*_loss_remarks(found))
        config_hash = None if found.left_out else budgets_and_rate_limits.sha256(row.config_hash)
        yield CandidateLimit(note, draft, found.items, config_hash, *budgets_and_rate_limits.times(row, self._now))

    def _loaded(
        self, note: ImportNote, schema: Schema, body: Mapping[str, Any], row: KeyRow | LimitRow, *more: str
    ) -> Any:
        """Load `body`, made from a row, with a schema.

        If the schema refuses the body, or if `more` contains reasons, leave the row out and return None.
        """
        faults = list(more)
        data = None
        try:
            data = load(schema, body)
        except InvalidRequest as error:
            faults += reasons(error, row)
        if faults:
            self._left_out.append(note.left_out(*faults))
        return None if faults else data


def _secret(row: KeyRow) -> tuple[str, str]:
    """Return the SHA-256 digest of a virtual key's value, and the first characters of the value, which may be shown.

    If the database has only the digest, the second text is empty. If it has neither, both texts are empty.
    """
    value = row.value.strip() if isinstance(row.value, str) and row.encryption_status in PLAIN else ""
    if value and not value.startswith(REFERENCE):
        return digest(value), shown_prefix(value)
    return budgets_and_rate_limits.sha256(row.value_hash) or "", ""


def _why_not(row: KeyRow) -> str:
    """Return why the value of a virtual key is not known, as the end of a sentence."""
    if row.encryption_status not in PLAIN:
        return "is encrypted"
    return "only names an environment variable" if row.value and reference(row.value) else "is missing"


def _key_body(row: KeyRow) -> dict[str, Any]:
    aligned, active = coercion.flag(row.calendar_aligned), coercion.flag(row.is_active)
    return {
        "id": budgets_and_rate_limits.id_text(row),
        "name": row.name,
        "description": _tidy(row.description),
        "is_active": True if active is None else active,
        "calendar_aligned": False if aligned is None else aligned,
        "expires_at": coercion.time(row.expires_at),
    }


def _tidy(description: Any) -> Any:
    """Return a description on one line, cut to `LONGEST_DESCRIPTION` characters."""
    return " ".join(description.split())[:LONGEST_DESCRIPTION] if isinstance(description, str) else description


def _key_remarks(row: KeyRow) -> Iterator[str]:
    if _tidy(row.description) != row.description:
        yield TIDIED
    if row.team_id or row.customer_id:
        yield IN_A_TEAM


def _loss_remarks(found: ReadRules) -> Iterator[str]:
    """Yield remarks on the maximums of a limit in Bifrost that are missing in the imported limit."""
    if found.blocking:
        yield BLOCKED_ALL.format(_listed(found.blocking))
    lost = [note for note in found.lost if note not in found.blocking]
    if lost:
        yield CAPS_LESS.format(_listed(lost))


def _listed(rows: Iterable[ImportNote]) -> str:
    return ", ".join(f"{row.kind.replace('_', ' ')} {row.id}" for row in rows)


def _limit_body(row: LimitRow, *, aligned: bool) -> dict[str, Any]:
    scope = row.scope or Scope.GLOBAL.value
    return {
        "id": budgets_and_rate_limits.id_text(row),
        "model_name": row.model_name,
        "provider": row.provider or None,
        "scope": scope,
        "scope_id": None if scope == Scope.GLOBAL else row.scope_id or None,
        "calendar_aligned": coercion.flag(row.calendar_aligned) or aligned,
    }


def _limit_name(row: LimitRow) -> str:
    whose = f"{scope_words(row.scope or '')} {row.scope_id}" if row.scope_id else row.scope or Scope.GLOBAL.value
    return f"{model_words(row.model_name, row.provider)} ({whose})"
