"""Defines SQL functions whose names differ between databases.

This file contains the forms of PostgreSQL. `sqlite/functions.py` contains the forms of SQLite.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TextPosition(FunctionElement[int]):
    """The position of a text inside another text, counted from 1. It is 0 if the text does not occur.

    Upper and lower case are different.
    """

    name = "strpos"
    type = Integer()
    inherit_cache = True


@compiles(TextPosition)
def strpos(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL with the function's PostgreSQL name."""
    return f"strpos{compiler.process(position.clause_expr, **options)}"


class NumbersOf(FunctionElement[int]):
    """The whole numbers of a JSON array, as a subquery."""

    name = "numbers_of"
    inherit_cache = True


@compiles(NumbersOf)
def json_array_elements(numbers: NumbersOf, compiler: Any, **options: Any) -> str:
    """Return the SQL with PostgreSQL's function for the elements of an array."""
    array = compiler.process(numbers.clauses, **options)
    return f"(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST({array} AS JSON)))"  # noqa: S608 - the compiler quotes it


def is_one_of(column: Any, numbers: Iterable[int]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these numbers.

    All numbers are passed as one SQL parameter. With one parameter for each of 3,000 numbers, the garbage collector
    held the interpreter for 50 ms.
    """
    is_in: ColumnElement[bool] = column.bool_op("IN")(NumbersOf(orjson.dumps(sorted(numbers)).decode()))
    return is_in


def contains(text: Any, part: Any) -> ColumnElement[bool]:
    """Return the condition that a text contains another text. Upper and lower case are different.

    `LIKE` is not used, because it treats case differently in different databases.
    """
    return TextPosition(text, part) > 0
