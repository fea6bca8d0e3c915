"""Writes as JSON the plan of a sync (the changes that a config file would make), and faults and warnings."""

from collections.abc import Sequence
from typing import Any

from governance.domain.config.plan import Plan
from governance.domain.config.plan_steps import Step
from governance.domain.errors import Misplaced


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON."""
    return {
        "steps": [_step(step) for step in plan.steps],
        "counts": {action.value: number for action, number in plan.counts.items()},
        "gone": plan.gone,
    }


def _step(step: Step) -> dict[str, Any]:
    named = step._asdict()
    shown = {name: named[name] for name in ("action", "entity", "id", "title", "note")}
    return shown | {"differences": [difference._asdict() for difference in step.differences]}


def places_json(found: Sequence[Misplaced]) -> list[dict[str, Any]]:
    """Return faults or warnings about a config file as JSON, each with its position in the file."""
    return [each._asdict() for each in found]
