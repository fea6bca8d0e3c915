"""Tells SQLAlchemy how to write the functions of `storage/functions.py` in SQLite's SQL.

Importing this module registers these forms.
"""

from typing import Any

from sqlalchemy.ext.compiler import compiles

from governance.storage.functions import NumbersOf, TextPosition


@compiles(TextPosition, "sqlite")
def instr(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL of `TextPosition`, which is SQLite's function `instr`."""
    return f"instr{compiler.process(position.clause_expr, **options)}"


@compiles(NumbersOf, "sqlite")
def json_each(numbers: NumbersOf, compiler: Any, **options: Any) -> str:
    """Return the SQL of `NumbersOf`: a subquery that returns the elements of a JSON array."""
    return f"(SELECT value FROM json_each({compiler.process(numbers.clauses, **options)}))"  # noqa: S608 - the compiler quotes it
