"""The schemas of the virtual keys and providers in a config file, and the limits made from their budgets.

Bifrost is an LLM gateway. In its file, not only model limits have budgets and rate limits, but also virtual keys,
providers, and the settings of a virtual key for one provider (provider configs). In this service, only a model limit
has budgets and rate limits. So each of these owners becomes a limit on all models, called an implied limit. A budget or
a rate limit is called an item.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from marshmallow import fields, post_load

from governance.domain import keys
from governance.domain.config import hashes
from governance.domain.config.entries import Claim, LimitEntry, NamedOwner, WantedKey, key_id
from governance.domain.limits.drafts import LimitDraft
from governance.domain.limits.limit import Scope
from governance.domain.names import ALL_MODELS
from schemas.config.entries import RULES, FileLimit, IgnoredFields, OneProvider, RowId
from schemas.fields import Boolean, ReadOnly
from schemas.keys import NewVirtualKey
from schemas.loading import Body, load

SKIPPED_OWNERS = {"teams": "teams", "customers": "customers", "business_units": "business units"}
"""The skipped sections of Bifrost's file whose entries may have items, each with its name in messages."""
CLAIMS = {
    "budget": (("budget_id", "budget_ids"), ("budgets", "budget")),
    "rate limit": (("rate_limit_id", "rate_limit_ids"), ("rate_limits", "rate_limit")),
}
"""For each kind of item: the fields that contain the ids of items, and the fields that contain the items themselves."""


class SeparateFields(fields.Raw):
    """A field with items or their ids. It is not checked here: the function `limit` loads it with the implied limit."""

    def __init__(self) -> None:
        super().__init__(load_only=True, allow_none=True)


class OwnerEntry(Body):
    """The fields of an entry that may have items."""

    budget_id = SeparateFields()
    budget_ids = SeparateFields()
    budgets = SeparateFields()
    budget = SeparateFields()
    rate_limit_id = SeparateFields()
    rate_limit_ids = SeparateFields()
    rate_limits = SeparateFields()
    rate_limit = SeparateFields()
    config_hash = ReadOnly()
    created_at = ReadOnly()
    updated_at = ReadOnly()


class FileProviderConfig(OwnerEntry):
    """The settings of a virtual key for one provider."""

    id = RowId()
    provider = OneProvider(required=True)
    virtual_key_id = ReadOnly()
    weight = IgnoredFields()
    allowed_models = IgnoredFields()
    blacklisted_models = IgnoredFields()
    allow_all_keys = IgnoredFields()
    key_ids = IgnoredFields()
    keys = IgnoredFields()


class FileKey(OwnerEntry, NewVirtualKey):
    """A virtual key. Before this schema loads it, `env.NAME` is replaced by the value of the variable NAME."""

    provider_configs = fields.List(fields.Nested(FileProviderConfig))
    team_id = IgnoredFields()
    team = IgnoredFields()
    customer_id = IgnoredFields()
    customer = IgnoredFields()
    access_profile_id = IgnoredFields()
    mcp_configs = IgnoredFields()
    created_by_user_id = IgnoredFields()
    encryption_status = ReadOnly()
    value_hash = ReadOnly()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> WantedKey:
        """Build the virtual key from the loaded entry. Its value is replaced by the value's digest and prefix."""
        name, value = data["name"], data.get("value")
        optional = {name: data.get(name) for name in ("is_active", "expires_at")}
        aligned, description = data.get("calendar_aligned", False), data.get("description")
        return WantedKey(
            path="",
            id=data.get("id") or key_id(name),
            named="id" in data,
            name=name,
            description=description,
            digest=keys.digest(value) if value else None,
            value_prefix=keys.shown_prefix(value) if value else None,
            calendar_aligned=aligned,
            config_hash=hashes.of_key(name, description, value, calendar_aligned=aligned, **optional),
            **optional,
        )


class FileProvider(OwnerEntry):
    """A provider with its items. All other settings of the provider are skipped."""

    name = OneProvider(required=True)
    calendar_aligned = Boolean()
    id = ReadOnly()
    description = IgnoredFields()
    keys = IgnoredFields()
    status = IgnoredFields()
    network_config = IgnoredFields()
    proxy_config = IgnoredFields()
    custom_provider_config = IgnoredFields()
    openai_config = IgnoredFields()
    concurrency_and_buffer_size = IgnoredFields()
    send_back_raw_request = IgnoredFields()
    send_back_raw_response = IgnoredFields()
    store_raw_request_response = IgnoredFields()


class ImpliedLimit(NamedTuple):
    """An implied limit before its items are loaded.

    `path` is the path of the owner's entry in the file. `whose` is a draft of the limit without items. `named_by` is
    the field and the id with which a budget can name the owner. `rules` contains the fields with the items.
    """

    path: str
    whose: LimitDraft
    named_by: NamedOwner | None
    rules: Mapping[str, Any]


def of_key(path: str, raw: Mapping[str, Any]) -> Iterator[ImpliedLimit]:
    """Yield the implied limits of a virtual key: one on all providers, and one for each of its provider configs."""
    own_id, name = _text(raw.get("id")), _text(raw.get("name"))
    key = own_id or (key_id(name) if name else "")
    if not key:
        return
    yield ImpliedLimit(path, _draft_on(Scope.VIRTUAL_KEY, key), NamedOwner("virtual_key_id", key), _rules(raw))
    configs = raw.get("provider_configs")
    for place, config in enumerate(configs if isinstance(configs, list) else ()):
        provider = _text(config.get("provider")) if isinstance(config, Mapping) else ""
        if provider:
            row = config.get("id")
            named_by = None if row is None else NamedOwner("provider_config_id", str(row).strip())
            whose = _draft_on(Scope.VIRTUAL_KEY, key, provider)
            yield ImpliedLimit(f"{path}.provider_configs[{place}]", whose, named_by, _rules(config))


def of_provider(path: str, raw: Mapping[str, Any]) -> Iterator[ImpliedLimit]:
    """Yield the implied limit of a provider."""
    provider = _text(raw.get("name"))
    if provider:
        aligned = {name: raw[name] for name in ("calendar_aligned",) if name in raw}
        yield ImpliedLimit(path, _draft_on(Scope.GLOBAL, None, provider), None, _rules(raw) | aligned)


def limit(implied: ImpliedLimit, schema: FileLimit) -> LimitEntry:
    """Load the items of an implied limit. Raises InvalidRequest with all faults of the items."""
    path, whose, named_by, rules = implied
    if not rules:
        return LimitEntry(path, None, whose, None, (), None, (), named_by, implied=True)
    entry: LimitEntry = load(schema, {"model_name": ALL_MODELS} | dict(rules))
    draft = whose._replace(
        calendar_aligned=entry.draft.calendar_aligned,
        budgets=entry.draft.budgets,
        rate_limits=entry.draft.rate_limits,
    )
    return entry._replace(path=path, draft=draft, named_by=named_by, implied=True)


def claims(section: str, path: str, raw: Any) -> Iterator[Claim]:
    """Yield the items of an entry in a skipped section, for example of a team."""
    if not isinstance(raw, Mapping):
        return
    owners = SKIPPED_OWNERS[section]
    for kind, (naming, holding) in CLAIMS.items():
        for field in naming:
            named = raw.get(field)
            for item in named if isinstance(named, list) else [named]:
                if isinstance(item, str):
                    yield Claim(f"{path}.{field}", owners, kind, item.strip())
        yield from (Claim(f"{path}.{field}", owners, kind, None) for field in holding if raw.get(field))


def _draft_on(scope: Scope, scope_id: str | None, provider: str | None = None) -> LimitDraft:
    return LimitDraft(ALL_MODELS, provider, scope, scope_id, None, "UTC", (), ())


def _rules(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: raw[name] for name in RULES if raw.get(name) is not None}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
