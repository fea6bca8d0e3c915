"""SQLite's forms of the functions in `storage/functions.py`. Importing this module registers them."""

from typing import Any

from sqlalchemy.ext.compiler import compiles

from governance.storage.functions import TextPosition


@compiles(TextPosition, "sqlite")
def instr(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL with the function's SQLite name."""
    return f"instr{compiler.process(position.clause_expr, **options)}"
