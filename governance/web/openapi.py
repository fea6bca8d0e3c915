"""The OpenAPI document."""

from typing import Any


def document(app: Any) -> dict[str, Any]:
    return {}
