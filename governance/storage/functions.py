"""SQL functions that have different names in different databases. The folder of each database has its own form."""

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TextPosition(FunctionElement[int]):
    """The position of a text in another text, from 1, or 0 if it is not in it. Case-sensitive."""

    name = "strpos"
    type = Integer()
    inherit_cache = True


@compiles(TextPosition)
def strpos(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL of the function with PostgreSQL's name."""
    return f"strpos{compiler.process(position.clause_expr, **options)}"


def contains(text: Any, part: Any) -> ColumnElement[bool]:
    """Return the condition that a text contains another text, case-sensitively. `LIKE` differs between databases."""
    return TextPosition(text, part) > 0
