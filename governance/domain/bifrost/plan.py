"""Decides which rows of Bifrost's database are imported.

Bifrost is an LLM gateway. Rows that this service has stored already are never overwritten. A budget or a rate limit is
called an item here. The functions are pure: the stored ids, the function that makes new ids, and the time are
arguments.
"""

from collections.abc import Iterable, Iterator

from governance.domain.bifrost.candidates import (
    CandidateItem,
    CandidateKind,
    CandidateLimit,
    CandidatePrice,
    CandidateRule,
    Candidates,
    ExistingIds,
    ImportNote,
    ImportOutcome,
    ImportPlan,
)
from governance.domain.keys import VirtualKey
from governance.domain.limits.drafts import LimitDraft
from governance.domain.limits.edits import NewId
from governance.domain.limits.limit import Limit, Opening, Rule, Scope, in_order
from governance.domain.limits.windows import Alignment, window
from governance.domain.names import fold


def decide(arrivals: Candidates, stored: ExistingIds, *, now: int, new_id: NewId) -> ImportPlan:
    """Return the rows to store, and the outcome for each row of Bifrost's database."""
    return _Decider(stored, now, new_id).decide(arrivals)


WITH_ITS_LIMIT = "Its model limit was left out."
SHARED = "Several limits share it in Bifrost; here each has its own, which begins with the same usage."
ANOTHER_ID = "Its id is taken here: it got another."
ENDED = "Its window has ended: it starts at 0."
AHEAD = "Its window begins in the future: here it begins now."


class _Decider:
    """Decides about the rows one by one. Each row is compared with the stored rows, and the rows accepted so far."""

    def __init__(self, stored: ExistingIds, now: int, new_id: NewId) -> None:
        self._before = stored
        self._stored = stored.copy()
        self._now = now
        self._new_id = new_id
        self._made = ImportPlan([], [], [], [], [])
        self._taken: set[tuple[CandidateKind, str]] = set()

    def decide(self, arrivals: Candidates) -> ImportPlan:
        self._made.notes.extend(self._key(*arriving) for arriving in arrivals.keys)
        for arriving in arrivals.limits:
            self._made.notes.extend(self._limit(arriving))
        self._made.notes.extend(map(self._price, arrivals.prices))
        return self._made._replace(notes=_unique([*self._made.notes, *arrivals.left_out]), unread=arrivals.unread)

    def _key(self, note: ImportNote, key: VirtualKey) -> ImportNote:
        stored = self._stored
        if key.id in self._before.keys:
            return note.kept()
        same_id = key.id if key.id in stored.keys else None
        likes = {"id": same_id, "name": stored.names.get(key.name), "value": stored.digests.get(key.digest)}
        for what, other in likes.items():
            if other is not None:
                return note.left_out(f"Another virtual key, '{other}', has the same {what}.")
        stored.keys.add(key.id)
        stored.names[key.name] = stored.digests[key.digest] = key.id
        self._made.keys.append(key)
        return note

    def _price(self, arriving: CandidatePrice) -> ImportNote:
        note, price = arriving
        identity = price.identity
        if price.id in self._before.prices or identity in self._before.priced:
            return note.kept()
        other = self._stored.priced.get(identity)
        if other is not None:
            return note.left_out(f"It is for the same model as '{other}'.")
        if price.id in self._stored.prices:
            return note.left_out("Another price has its id.")
        self._stored.prices.add(price.id)
        self._stored.priced[identity] = price.id
        self._made.prices.append(price)
        return note

    def _limit(self, arriving: CandidateLimit) -> Iterator[ImportNote]:
        """Yield the outcome for a limit and for each of its items."""
        note, draft, items, *_ = arriving
        if note.id in self._before.limits or draft.identity in self._before.identities:
            yield note.kept()
            yield from (item.note.kept() for item in items)
        elif reason := self._obstacle(note, draft):
            yield note.left_out(reason)
            yield from (item.note.left_out(WITH_ITS_LIMIT) for item in items)
        else:
            yield note
            yield from self._take(arriving)

    def _obstacle(self, note: ImportNote, draft: LimitDraft) -> str | None:
        """Return why a limit that is not stored yet cannot be imported. Return None if it can be imported."""
        if draft.scope == Scope.VIRTUAL_KEY and draft.scope_id not in self._stored.keys:
            return f"Its virtual key '{draft.scope_id}' is not here."
        same = self._stored.identities.get(draft.identity)
        if same is not None:
            return f"It limits the same as '{same}': case, blanks and the provider's prefix do not count."
        return "Another limit has its id." if note.id in self._stored.limits else None

    def _take(self, arriving: CandidateLimit) -> Iterator[ImportNote]:
        """Accept a limit, and yield the outcome for each of its items."""
        rules: list[Rule] = []
        for item in arriving.items:
            own, note = self._item(item, arriving.alignment)
            rules += own
            yield note
        self._stored.limits.add(arriving.note.id)
        self._stored.identities[arriving.draft.identity] = arriving.note.id
        self._made.limits.append(_built(arriving, rules))

    def _item(self, item: CandidateItem, alignment: Alignment) -> tuple[list[Rule], ImportNote]:
        item_id, remarks = self._claim(item.note)
        rules = [self._rule(item, part, item_id) for part in item.parts]
        pairs = zip(rules, item.parts, strict=True)
        said = [each for pair in pairs for each in self._open(*pair, alignment, rolling=item.rolling)]
        return rules, item.note.saying(*remarks, *said)

    def _claim(self, note: ImportNote) -> tuple[str, tuple[str, ...]]:
        """Return the id under which an item will be stored, and the remarks on it.

        If another item already has the item's id, a new id is returned.
        """
        if note.id not in self._stored.items:
            self._stored.items.add(note.id)
            self._taken.add((note.kind, note.id))
            return note.id, ()
        return self._new_id(), (SHARED if (note.kind, note.id) in self._taken else ANOTHER_ID,)

    def _rule(self, item: CandidateItem, part: CandidateRule, item_id: str) -> Rule:
        began = item.created_at if part.began is None else part.began
        return Rule(
            id=item_id,
            metric=part.ceiling.metric,
            max_limit=part.ceiling.max_limit,
            reset_duration=part.ceiling.duration.text,
            anchor=min(began, self._now),
            generation=0,
            config_hash=item.config_hash if item_id == item.note.id else None,
            created_at=item.created_at,
            updated_at=item.updated_at,
        )

    def _open(self, rule: Rule, part: CandidateRule, alignment: Alignment, *, rolling: bool) -> Iterator[str]:
        """Import the usage of the rule's current window, if there is any.

        Yield a remark for each difference from Bifrost. Usage is imported if Bifrost's window did not begin before the
        current window of this service. If `rolling` is true, the two windows may begin at different times. Then usage
        is also imported if Bifrost's window has not ended yet.
        """
        start, end = window(rule.duration, alignment, rule.anchor, self._now)
        if part.began is not None and part.began > self._now:
            yield AHEAD
        still = rolling and part.began is not None and part.began + rule.duration.length > self._now
        if part.used and not still and (part.began is None or part.began < start):
            yield ENDED
        elif part.used:
            self._made.openings.append(Opening(rule, start, end, part.used))


def _built(arriving: CandidateLimit, rules: list[Rule]) -> Limit:
    note, draft, _, config_hash, created_at, updated_at = arriving
    return Limit(
        id=note.id,
        model_name=draft.model_name,
        provider=draft.provider,
        scope=draft.scope,
        scope_id=draft.scope_id,
        calendar_aligned=arriving.alignment.calendar,
        timezone=draft.timezone,
        config_hash=config_hash,
        created_at=created_at,
        updated_at=updated_at,
        version=1,
        search_name=fold(draft.model_name),
        rules=in_order(rules),
    )


def _unique(notes: Iterable[ImportNote]) -> list[ImportNote]:
    """Return each row once, with the best of its outcomes and all its remarks. Rows without an id are never merged."""
    merged: dict[tuple[CandidateKind, str | int], ImportNote] = {}
    order = list(ImportOutcome)
    for number, row in enumerate(notes):
        key = row.kind, row.id or number
        known = merged.get(key, row)
        best = min(known, row, key=lambda each: order.index(each.outcome))
        merged[key] = best._replace(remarks=tuple(dict.fromkeys((*known.remarks, *row.remarks))))
    return list(merged.values())
