"""The list of prices in real workers is loaded after the start. If it cannot be loaded, the service warns and runs."""

from pathlib import Path

import pytest

from tests.process.service import MODEL_CONFIGS, Service, until

CALL = {"model": "gpt-4o", "provider": "openai", "input_tokens": 1000, "output_tokens": 500}
BUDGET = {"model_name": "*", "budgets": [{"max_limit": 1, "reset_duration": "1d"}]}
WRITTEN = {"broken": "this is not Python\n", "another": "__version__ = '0'\n"}


def told(service: Service):
    """Return what `/readyz` says after loading has ended."""

    def final():
        found = service.call("GET", "/readyz", key="").body
        return found["price_list"]["status"] != "loading" and found

    return until(final)


def test_a_worker_loads_the_list_after_its_start(service):
    running = service().start()
    found = told(running)
    assert (found["price_list"]["status"], found["price_list"]["version"]) == ("loaded", "0.2.3")
    assert found["warnings"] == []
    running.call("POST", MODEL_CONFIGS, BUDGET)
    held = running.call("POST", "/api/governance/reservations", CALL).body["reservation"]
    assert (held["cost"]["reserved"], held["cost_source"]) == (0.0075, "list")


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_list_that_cannot_be_loaded_leaves_the_overrides_and_a_warning(service, tmp_path, kind):
    package: Path = tmp_path / "packages/genai_prices"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(WRITTEN[kind])
    running = service(PYTHONPATH=str(package.parent)).start()
    found = told(running)
    assert found["price_list"]["status"] == "failed"
    assert found["warnings"][0].startswith("The list of prices could not be loaded, so only overrides have prices")
    assert "the list of prices could not be loaded" in running.stderr.read_text() + running.stdout.read_text()
    running.call("POST", MODEL_CONFIGS, BUDGET)
    refused = running.call("POST", "/api/governance/reservations", CALL)
    assert (refused.status, refused.body["error"]["code"]) == (422, "price_unknown")
    running.call("POST", "/api/governance/prices", {"model": "openai/gpt-4o", "input": 1, "output": 2})
    held = running.call("POST", "/api/governance/reservations", CALL).body["reservation"]
    assert (held["cost"]["reserved"], held["cost_source"]) == (0.002, "override")
