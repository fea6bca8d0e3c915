"""The OpenAPI document is valid and complete, and agrees with the responses of the app."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from governance.domain.limits import durations
from governance.domain.times import parse_rfc3339
from governance.web.docs.openapi import document
from governance.web.http.operation import of as operation_of
from schemas.queries import ModelLimitsQuery
from schemas.responses.limits import ModelLimit

CONFIG = "/api/governance/config/"
OPS = {"/healthz", "/readyz", "/openapi.json", "/docs"}
MOST_METHODS = 3
"""GET has HEAD and OPTIONS too. An endpoint with more methods accepts any method, and the document has only its POST.
"""
SOMETIMES = {"Link", "Age", "Retry-After", "Idempotent-Replayed"}
PYTHON = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
BOUNDS = {
    "minimum": lambda value, bound: value >= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "maximum": lambda value, bound: value <= bound,
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "enum": lambda value, words: value in words,
    "pattern": lambda value, pattern: re.fullmatch(pattern, value),
    "not": lambda value, other: value != other["const"],
}
LIMIT = {
    "model_name": "the-model-nobody-may-see",
    "provider": "the-provider-nobody-may-see",
    "calendar_aligned": True,
    "timezone": "Europe/Berlin",
    "budgets": [{"max_limit": 0.25, "reset_duration": "1d"}, {"max_limit": 500, "reset_duration": "1M"}],
    "rate_limits": [{"request_max_limit": 15, "request_reset_duration": "1m"}],
}
"""A limit that uses most fields."""


def pointed(doc: dict[str, Any], reference: str) -> Any:
    """Return the object that a `#/…` reference names."""
    found: Any = doc
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def faults(doc: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """Yield where a value does not match a schema.

    A key that the schema does not name is a fault, even if the schema allows more keys.
    """
    if "$ref" in schema:
        yield from faults(doc, pointed(doc, schema["$ref"]), value, at)
    elif "anyOf" in schema:
        forms = [list(faults(doc, form, value, at)) for form in schema["anyOf"]]
        yield from min(forms, key=len)
    elif "type" in schema and not _is_of(schema["type"], value):
        yield f"{at}: {value!r} is no {schema['type']}"
    elif value is not None:
        for word, holds in BOUNDS.items():
            if word in schema and not holds(value, schema[word]):
                yield f"{at}: {value!r} is against {word} {schema[word]!r}"
        yield from _faults_inside(doc, schema, value, at)


def _is_of(kinds: str | list[str], value: Any) -> bool:
    named = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, bool):
        return "boolean" in named
    return any(isinstance(value, PYTHON[kind]) for kind in named)


def _faults_inside(doc: dict[str, Any], schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if schema.get("format") == "date-time":
        parse_rfc3339(value)
    for index, item in enumerate(value if "items" in schema and isinstance(value, list) else ()):
        yield from faults(doc, schema["items"], item, f"{at}[{index}]")
    if "properties" in schema:
        properties = schema["properties"]
        yield from (f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        yield from (f"{at}.{name} is not documented" for name in value if name not in properties)
        for name in value.keys() & properties.keys():
            yield from faults(doc, properties[name], value[name], f"{at}.{name}")


class Caller:
    """Calls operations by their id. Checks each request and each response against the document."""

    def __init__(self, api):
        self.api = api
        self.doc = api.get("/openapi.json").get_json()
        self.operations = {operation["operationId"]: found for *found, operation in operations(self.doc)}
        self.called = set()

    def __call__(self, operation_id, *arguments, **options):
        return self.answered(operation_id, *arguments, **options).get_json(silent=True)

    def answered(self, operation_id, body=None, *, of="", query="", status=200, api=None, **kwargs):
        path, method = self.operations[operation_id]
        operation = self.doc["paths"][path][method]
        if body is not None and status == 200:
            assert list(faults(self.doc, body_schema(operation), body)) == []
        assert set(kwargs.get("headers", ())) <= set(parameters(self.doc, operation, "header"))
        url = path.replace("{id}", of) + query
        response = (api or self.api).request(method.upper(), url, **kwargs, **({} if body is None else {"json": body}))
        assert response.status_code == status, response.text
        self.called.add(operation_id)
        self._hold(operation["responses"][str(status)], response)
        return response

    def _hold(self, described, response):
        if response.data:
            assert list(faults(self.doc, described["content"][response.mimetype]["schema"], response.get_json())) == []
        known, given = set(self.doc["components"]["headers"]), set(response.headers.keys())
        assert given & known <= set(described["headers"]) <= given | SOMETIMES
        if "x-error-codes" in described:
            assert response.get_json()["error"]["code"] in described["x-error-codes"]


def operations(doc: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the description of each operation."""
    return ((path, method, found) for path, methods in doc["paths"].items() for method, found in methods.items())


def parameters(doc: dict[str, Any], operation: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    """Return an operation's parameters in a place (path, query or header), by name."""
    found = [pointed(doc, given["$ref"]) if "$ref" in given else given for given in operation["parameters"]]
    return {parameter["name"]: parameter for parameter in found if parameter["in"] == place}


def body_schema(operation: dict[str, Any]) -> dict[str, Any]:
    return operation["requestBody"]["content"]["application/json"]["schema"]


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(inner)


@pytest.fixture
def doc(api):
    return api.get("/openapi.json").get_json()


@pytest.fixture
def call(api):
    return Caller(api)


@pytest.fixture
def listing(doc):
    return doc["paths"]["/api/governance/model-configs"]["get"]


def test_the_document_has_the_structure_of_openapi_3_1(doc):
    assert re.fullmatch(r"3\.1\.\d+", doc["openapi"])
    assert doc["info"]["title"]
    assert doc["info"]["version"]
    tags = {tag["name"] for tag in doc["tags"]}
    for path, method, operation in operations(doc):
        assert path.startswith("/")
        assert method in {"get", "post", "put", "delete"}
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        assert "200" in operation["responses"]
        assert all(response["description"] for response in operation["responses"].values())
    names = [name for part in doc["components"].values() for name in part]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_every_reference_points_at_something_and_every_schema_is_pointed_at(doc):
    references = {found["$ref"] for found in inside(doc) if "$ref" in found}
    assert all(pointed(doc, reference) for reference in references)
    assert {reference.rpartition("/")[2] for reference in references} >= set(doc["components"]["schemas"])


def test_operation_ids_are_unique(doc):
    ids = [operation["operationId"] for _, _, operation in operations(doc)]
    assert len(set(ids)) == len(ids)


def test_every_part_of_a_path_is_declared_as_a_required_parameter(doc):
    for path, _, operation in operations(doc):
        declared = parameters(doc, operation, "path")
        assert set(declared) == set(re.findall(r"{(\w+)}", path))
        assert all(parameter["required"] for parameter in declared.values())


def test_every_route_is_in_the_document_and_nothing_else(app, doc):
    routed = {
        (re.sub(r"<[^>]*>", "{id}", rule.rule.replace("<call:call>", "{call}")), method.lower())
        for rule in app.url_map.iter_rules()
        if operation_of(app.view_functions[rule.endpoint])
        for method in ({"POST"} if len(rule.methods) > MOST_METHODS else rule.methods - {"HEAD", "OPTIONS"})
    }
    assert {(path, method) for path, method, _ in operations(doc)} == routed
    assert {path for path, _ in routed if not path.startswith("/api/")} >= OPS
    pages = {rule.rule for rule in app.url_map.iter_rules() if not operation_of(app.view_functions[rule.endpoint])}
    assert {path for path in pages if path != "/" and not (path + "/").startswith("/ui/")} == set()


def test_operations_under_api_name_the_scope_that_their_key_needs_and_the_others_need_none(app, doc):
    declared = {endpoint: operation_of(view) for endpoint, view in app.view_functions.items()}
    views = {endpoint.rpartition(".")[2]: found for endpoint, found in declared.items() if found}
    for path, _, operation in operations(doc):
        scopes = list(views[operation["operationId"]].scopes)
        assert operation.get("x-key-scopes", []) == scopes
        key = "ProxyKeyAuth" if path.startswith("/gateway/") else "ManagementBearerAuth"
        assert operation.get("security", []) == [{key: [scope]} for scope in scopes]
        assert bool(scopes) == path.startswith(("/api/", "/gateway/")) or path == "/gateway/self"
    scheme = doc["components"]["securitySchemes"]["ManagementBearerAuth"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_what_operators_read_answers_without_a_key_and_in_the_documented_media(api, doc):
    for path, method, operation in operations(doc):
        if path in OPS:
            response = api.with_key(None).request(method.upper(), path)
            assert response.status_code == 200, path
            assert list(operation["responses"]["200"]["content"]) == [response.mimetype]


def test_the_document_is_made_once_for_an_app(app):
    assert document(app) is document(app)


def test_request_bodies_are_closed_and_answers_may_grow(doc):
    bodies = [body_schema(operation) for _, _, operation in operations(doc) if "requestBody" in operation]
    assert bodies
    is_open = {
        schema["$ref"].rpartition("/")[2] for schema in bodies if pointed(doc, schema["$ref"])["additionalProperties"]
    }
    assert is_open == {"ConfigFile"}, "a file may have sections of Bifrost's: they are skipped and named"
    assert doc["components"]["schemas"]["ModelLimit"]["additionalProperties"] is True


def test_every_field_and_every_parameter_says_what_it_is(doc):
    known = {"type", "$ref", "anyOf", "readOnly"}
    for name, schema in doc["components"]["schemas"].items():
        for field, about in schema["properties"].items():
            assert "writeOnly" not in about
            assert known & set(about), f"{name}.{field}: tell governance.web.openapi_fields of its class"
    for _, _, operation in operations(doc):
        assert all("type" in found["schema"] for found in parameters(doc, operation, "query").values())


def test_the_list_documents_exactly_the_parameters_that_it_takes(doc, listing):
    declared = parameters(doc, listing, "query")
    assert list(declared) == list(ModelLimitsQuery().fields)
    assert all(parameter["description"] for parameter in declared.values())
    assert not any(parameter["required"] for parameter in declared.values())


def test_a_documented_default_is_what_leaving_the_parameter_out_means(api, doc, listing):
    for model in ("a", "b", "c"):
        api.create(model)
    bare = api.get("model-configs").data
    defaults = {name: found["schema"].get("default") for name, found in parameters(doc, listing, "query").items()}
    assert {name for name, default in defaults.items() if default is None} == {"scope", "scope_id", "provider"}
    given = {name: json.dumps(default).strip('"') for name, default in defaults.items() if default is not None}
    assert api.get("model-configs", query_string=given).data == bare


def test_documented_words_and_bounds_of_parameters_are_the_real_ones(api, doc, listing):
    for name, parameter in parameters(doc, listing, "query").items():
        schema = parameter["schema"]
        taken = [*schema.get("enum", ()), *(schema[word] for word in ("minimum", "maximum") if word in schema)]
        refused = [f"{word}x" for word in schema.get("enum", ())]
        refused += [schema[word] + step for word, step in (("minimum", -1), ("maximum", 1)) if word in schema]
        assert {api.get(f"model-configs?{name}={value}").status_code for value in taken} <= {200}
        assert {api.get(f"model-configs?{name}={value}").status_code for value in refused} <= {400}


@pytest.mark.parametrize(("act", "required"), [("settle", False), ("extend", True)])
def test_a_body_may_be_left_out_only_where_nothing_in_it_is_required(doc, act, required):
    declared = doc["paths"][f"/api/governance/reservations/{{id}}/{act}"]["post"]
    assert declared["requestBody"]["required"] is required


def test_required_fields_of_a_body_are_the_ones_that_are_asked_for(api, doc):
    for path, _, operation in operations(doc):
        if "requestBody" in operation and "{id}" not in path and not path.startswith(CONFIG):
            error = api.post(path, {}).get_json()
            listed = error["extra_fields"].get("errors", [error["error"]])
            required = pointed(doc, body_schema(operation)["$ref"])["required"]
            assert sorted(fault["param"] for fault in listed) == required


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("max_limit", [0.000000001, 1_000_000_000], [0, -1, 1_000_000_001, "1", True, None]),
        ("reset_duration", ["1d", "1.5d", "1h30m", "1M", "0.5h"], ["", "1D", "1x", "30m1h", "1d ", "d", 1, None]),
    ],
)
def test_the_documented_bounds_of_a_budget_are_the_real_ones(api, doc, name, taken, refused):
    schema = doc["components"]["schemas"]["BudgetBody"]
    for values, is_taken in ((taken, True), (refused, False)):
        for index, value in enumerate(values):
            budget = {"max_limit": 1, "reset_duration": "1d", name: value}
            response = api.post("model-configs", {"model_name": f"{name}{index}", "budget": budget})
            assert (response.status_code == 200) is is_taken, value
            assert (list(faults(doc, schema, budget)) == []) is is_taken, value


@pytest.mark.parametrize(("provider", "status"), [("openai", 200), (None, 200), ("*", 400), ("x" * 256, 400), (1, 400)])
def test_the_documented_providers_are_the_real_ones(call, provider, status):
    body = {"model_name": "m", "provider": provider}
    call("create_model_config", body, status=status)
    found = list(faults(call.doc, call.doc["components"]["schemas"]["ModelLimitCreate"], body))
    assert (found == []) is (status == 200)


def test_documented_examples_of_durations_are_durations(doc):
    examples = doc["components"]["schemas"]["BudgetBody"]["properties"]["reset_duration"]["examples"]
    assert all(durations.parse(example) for example in examples)


def test_the_document_and_its_page_are_open_to_all_and_show_nothing_of_what_is_stored(api):
    api.post("model-configs", LIMIT)
    key = api.post("virtual-keys", {"name": "the-key-nobody-may-see"}).get_json()["virtual_key"]
    secret = api.post("/api/api-keys", {"name": "reader", "scopes": ["read"]}).get_json()["api_key"]["key"]
    for path in ("/openapi.json", "/docs"):
        response = api.with_key(None).get(path)
        assert response.status_code == 200
        for hidden in (api.key, key["value"], key["value_prefix"], key["id"], secret, secret[:12], "nobody-may-see"):
            assert hidden not in response.text


def test_the_page_shows_every_operation_parameter_field_and_code(api, doc):
    page = re.sub(r"<[^>]+>", "", api.get("/docs").text)
    for path, _, operation in operations(doc):
        assert path in page
        assert operation["summary"] in page.replace("&#39;", "'")
        assert all(name in page for name in parameters(doc, operation, "query"))
        assert all(code in page for found in operation["responses"].values() for code in found.get("x-error-codes", ()))
    assert all(name in page for schema in doc["components"]["schemas"].values() for name in schema["properties"])


def test_the_page_needs_nothing_from_elsewhere_and_its_links_lead_somewhere(api):
    page = api.get("/docs").text
    for foreign in ("<script", "src=", "http:", "https:", "url(", "@import"):
        assert foreign not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_every_operation_takes_and_answers_what_the_document_says(call):
    key = call("create_virtual_key", {"name": "team", "description": "for all", "expires_at": "2027-01-01T00:00:00Z"})
    key_id = key["virtual_key"]["id"]
    call("list_virtual_keys", query="?search=TEAM")
    call("update_virtual_key", call("get_virtual_key", of=key_id)["virtual_key"], of=key_id)

    user_id = call("create_user", {"id": "u/1", "name": "Ada"})["user"]["id"]
    call("list_users", query="?limit=1")
    call("update_user", call("get_user", of=user_id)["user"], of=user_id)

    call("create_api_key", {"name": "meter", "scopes": ["meter"], "expires_at": "2027-01-01T00:00:00Z"})
    listed = call("list_api_keys")["api_keys"]
    call("revoke_api_key", of=listed[0]["id"])

    limit = call("create_model_config", LIMIT)["model_config"]
    call("create_model_config", {"model_name": "*", "scope": "virtual_key", "scope_id": key_id})
    call("create_model_config", {"model_name": "*", "scope": "user", "scope_id": user_id})
    for query in ("?limit=1&offset=1", "?limit=1&offset=1&from_memory=true"):
        call("list_model_configs", query=query)
        call("list_budgets", query=query)
        call("list_rate_limits", query=query)
    call("limit_windows", query="?metric=cost", of=limit["id"])
    call("limit_forecast", of=limit["id"])
    call("ask_what_if", {"model_config": LIMIT, "since": "2026-11-23T11:00:00Z", "until": "2026-11-23T12:30:00Z"})
    found = call("get_model_config", of=limit["id"])["model_config"]
    call("update_model_config", found, of=limit["id"])
    call("update_model_config", {"rate_limit": {}, "reset_usage": True}, of=limit["id"])

    rates = {"input": 0.25, "cached_input": 0.000000000001, "tiers": [{"above": 200000, "output": 3}], "request": 0.01}
    price = call(
        "create_price", {"provider": "vllm", "model": "llama", "effective_from": "2026-11-24T00:00:00Z"} | rates
    )
    call("create_price", {"model": "alias", "same_as": {"provider": "openai", "model": "gpt-4o"}})
    call("list_prices", query="?limit=3&offset=1")
    call("look_up_price", query="?model=alias&input_tokens=1000&output_tokens=1")
    call("look_up_price", query="?model=nobody-knows-it")
    call("update_price", call("get_price", of=price["price"]["id"])["price"], of=price["price"]["id"])
    call("delete_price", of=price["price"]["id"])

    _meter(call, {"model": LIMIT["model_name"], "virtual_key_id": key_id, "user_id": user_id, "cost": 0.000000001})
    call("delete_model_config", of=limit["id"])
    call("delete_virtual_key", of=key_id)
    call("delete_user", of=user_id)
    call("list_audit", query="?entity=model_config&limit=100")
    file = {
        "owner": "team",
        "model_configs": [{"model_name": "a", "budgets": LIMIT["budgets"]}],
        "users": [{"id": "e", "name": "E"}],
    }
    etag = call.answered("plan_config", file, query="?prune=true&overwrite=1").headers["ETag"]
    call("apply_config", file, query="?prune=true&overwrite=1", headers={"If-Match": etag})
    under_api = {name for name, (path, _) in call.operations.items() if path.startswith("/api/")}
    assert call.called == under_api, "call the others here too"


def _meter(call: Caller, used: dict[str, Any]) -> None:
    call("check", used)
    call("report_usage", {"model": used["model"], "requests": 2}, headers={"Idempotency-Key": "1"})
    held = [call("create_reservation", used)["reservation"]["id"] for _ in range(2)]
    again = [call("create_reservation", used, headers={"Idempotency-Key": "2"}) for _ in range(2)]
    assert again[0] == again[1]
    call("extend_reservation", {"ttl_seconds": 900}, of=held[0])
    call("settle_reservation", {"tokens": 12}, of=held[0])
    counted = {"input_tokens": 1000, "cached_input_tokens": 400, "output_tokens": 500}
    priced = call("create_reservation", {"model": "gpt-4o", "provider": "openai"} | counted)["reservation"]
    assert priced["cost_source"] == "list"
    call("settle_reservation", {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}, of=priced["id"])
    call("report_usage", {"model": "nobody-knows-it"} | counted)
    call("check", {"model": "openai/gpt-4o"} | counted)
    call("usage_history", query="?bucket=day&group_by=provider,model,virtual_key,user&sort_by=cost&order=asc")
    call("release_reservation", of=held[1])
    call("get_reservation", of=held[1])
    call("list_reservations", query="?status=open")


def test_every_refusal_has_a_documented_status_shape_and_code(call, api):
    limit = call("create_model_config", LIMIT)["model_config"]
    reader = call("create_api_key", {"name": "reader", "scopes": ["read"]})["api_key"]["key"]
    several = call("create_model_config", {"model_nam": "x", "budget": {"max_limit": 0}}, status=400)
    assert len(several["extra_fields"]["errors"]) > 2
    call("list_model_configs", query="?limit=0&scop=x", status=400)
    call("list_model_configs", status=401, api=api.with_key(None))
    call("create_model_config", LIMIT, status=403, api=api.with_key(reader))
    for operation_id in ("get_model_config", "get_virtual_key", "get_user", "delete_user", "revoke_api_key"):
        call(operation_id, of="none", status=404)
    call("create_model_config", LIMIT, status=409)
    call("delete_model_config", of=limit["id"], status=412, headers={"If-Match": '"99.x"'})
    call("create_model_config", data=b" " * (1024 * 1024 + 1), status=413)
    call("healthz", query="?x=1", status=400)


def types(value: Any) -> Iterator[Any]:
    """Yield all values of the keyword `type` in the document. Properties that are named `type` are left out."""
    if isinstance(value, list):
        for item in value:
            yield from types(item)
    elif isinstance(value, dict):
        if isinstance(value.get("type"), str | list):
            yield value["type"]
        for name, inner in value.items():
            if name not in ("example", "examples", "securitySchemes"):
                yield from types(inner)


def test_each_type_is_a_name_or_a_list_of_names(doc):
    found = list(types(doc))
    assert len(found) > 100
    assert {kind for each in found for kind in ([each] if isinstance(each, str) else each)} <= PYTHON.keys()


def test_an_answer_that_has_not_changed_is_as_documented(call, api):
    limit = call("create_model_config", LIMIT)["model_config"]
    for operation_id, of in (("get_model_config", limit["id"]), ("list_model_configs", ""), ("list_budgets", "")):
        path = call.operations[operation_id][0].replace("{id}", of)
        etag = api.get(path).headers["ETag"]
        call(operation_id, of=of, status=304, headers={"If-None-Match": etag})


@pytest.mark.parametrize("memory", [False, True])
def test_keys_stand_in_the_order_in_which_the_document_has_them(api, doc, memory):
    api.post("model-configs", LIMIT)
    orders = {name: list(schema["properties"]) for name, schema in doc["components"]["schemas"].items()}
    query = f"?from_memory={memory}"
    (limit,) = api.get("model-configs" + query).get_json()["model_configs"]
    assert list(limit) == orders["ModelLimit"] == list(ModelLimit().fields)
    for budget in (*limit["budgets"], limit["budget"], *api.get("budgets" + query).get_json()["budgets"]):
        assert list(budget) == orders["Budget"]
    for item in (*limit["rate_limits"], limit["rate_limit"], *api.get("rate-limits" + query).get_json()["rate_limits"]):
        assert list(item) == orders["RateLimit"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, {}),
        ({"type": "object", "properties": {"a": {}}}, {"b": 1}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": None}),
        ({"type": "array", "items": {"type": "integer"}}, [1, True]),
        ({"type": ["number", "null"]}, "1"),
        ({"enum": ["a"]}, "b"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1),
        ({"$ref": "#/defined"}, 1),
    ],
)
def test_the_checker_of_these_tests_finds_what_is_wrong(schema, value):
    assert list(faults({"defined": {"type": "string"}}, schema, value))


def test_errors_are_listed_by_status_in_one_order_in_every_process(doc):
    for _, _, operation in operations(doc):
        statuses = [int(status) for status in operation["responses"]]
        assert all(before < after for before, after in pairwise(statuses))
