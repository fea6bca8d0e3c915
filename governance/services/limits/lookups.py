"""Looks up the rows that are needed to write a model limit: the stored limit, and the virtual key of a draft.

A draft is a new limit as read from a request.
"""

from sqlalchemy.engine import Connection

from governance.domain.errors import Code, Fault, InvalidRequest, NotFound
from governance.domain.keys import VirtualKey
from governance.domain.limits.drafts import LimitDraft, drafted_flag
from governance.domain.limits.limit import LimitState, Scope
from governance.storage.keys.virtual_keys import virtual_keys
from governance.storage.limits import states


def stored(connection: Connection, limit_id: str, advice: str = "") -> LimitState:
    """Return the limit with an id. Raises NotFound, whose message ends with `advice`."""
    entry = states.by_ids(connection, [limit_id]).get(limit_id)
    if entry is None:
        raise NotFound(f"Model config not found{advice}", code=Code.MODEL_CONFIG_NOT_FOUND)
    return entry


def is_aligned_by_key(connection: Connection, draft: LimitDraft) -> bool:
    """Return `calendar_aligned` of the virtual key that a draft names.

    Return False if the draft names no virtual key. If the virtual key is unknown, raises InvalidRequest with all faults
    of the draft.
    """
    if draft.scope != Scope.VIRTUAL_KEY:
        return False
    given = draft.scope_id or ""
    key: VirtualKey | None = virtual_keys.get(connection, given)
    if key is None:
        known = virtual_keys.id_of_name(connection, given)
        advice = "" if known is None else f": give its id, '{known}', in place of its name"
        unknown = Fault("scope_id", f"Virtual key '{given}' not found{advice}")
        raise InvalidRequest.of([unknown, *drafted_flag(draft)[1]])
    return key.calendar_aligned
