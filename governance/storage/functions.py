"""SQL functions whose names differ between databases. The folder of each database contains its own form."""

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TextPosition(FunctionElement[int]):
    """The position of a text inside another text, counted from 1, or 0 if it does not occur. Case-sensitive."""

    name = "strpos"
    type = Integer()
    inherit_cache = True


@compiles(TextPosition)
def strpos(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL with the function's PostgreSQL name."""
    return f"strpos{compiler.process(position.clause_expr, **options)}"


def contains(text: Any, part: Any) -> ColumnElement[bool]:
    """Return the condition that a text contains another text, case-sensitively. `LIKE` differs between databases."""
    return TextPosition(text, part) > 0
