"""SQLite's forms of the functions in `storage/functions.py`. Importing this module registers them."""

from typing import Any

from sqlalchemy.ext.compiler import compiles

from governance.storage.functions import NumbersOf, TextPosition


@compiles(TextPosition, "sqlite")
def instr(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL with the function's SQLite name."""
    return f"instr{compiler.process(position.clause_expr, **options)}"


@compiles(NumbersOf, "sqlite")
def json_each(numbers: NumbersOf, compiler: Any, **options: Any) -> str:
    """Return the SQL with SQLite's table of the elements of an array."""
    return f"(SELECT value FROM json_each({compiler.process(numbers.clauses, **options)}))"  # noqa: S608 - the compiler quotes it
