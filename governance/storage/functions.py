"""Functions of SQL that databases call by different names; each database's own form lies in its folder."""

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TextPosition(FunctionElement[int]):
    """Where in a text another one begins, from 1 on; 0 where it is not in it. Upper and lower case differ."""

    name = "strpos"
    type = Integer()
    inherit_cache = True


@compiles(TextPosition)
def strpos(position: TextPosition, compiler: Any, **options: Any) -> str:
    """As PostgreSQL calls it."""
    return f"strpos{compiler.process(position.clause_expr, **options)}"


def contains(text: Any, part: Any) -> ColumnElement[bool]:
    """Whether a text has another one in it, letter for letter: `LIKE` means something else in each database."""
    return TextPosition(text, part) > 0
