"""The table of the proxies in docs/gateways.md, as values: what it says of a proxy is what the tests expect of it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gateways.md"
HEADING = "## The proxies"
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
"""The models of the recipes' routes, which the tests call everywhere."""
COLUMNS = ["proxy", "recipe", "model from", "a call is charged", "after an upstream error", "without the service"]


@dataclass(frozen=True)
class Row:
    """What a recipe can do."""

    proxy: str
    recipe: str
    model_from: str
    charged: str
    upstream_error: str
    without_service: str

    @property
    def sees_body(self) -> bool:
        return self.model_from == "the body"

    @property
    def settles(self) -> bool:
        return self.charged == "what it used"

    @property
    def may_fail_open(self) -> bool:
        return self.without_service == "refused, or passed if you say so"


def rows() -> list[Row]:
    """The rows, in the order of the page."""
    section = PAGE.read_text().partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert head == COLUMNS, head
    return [Row(proxy, recipe.partition("[")[2].partition("]")[0], *rest) for proxy, recipe, *rest in body]
