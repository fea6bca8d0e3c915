"""SQLite's forms of the functions in `storage/functions.py`. The import of this module registers them."""

from typing import Any

from sqlalchemy.ext.compiler import compiles

from governance.storage.functions import TextPosition


@compiles(TextPosition, "sqlite")
def instr(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Return the SQL of the function with SQLite's name."""
    return f"instr{compiler.process(position.clause_expr, **options)}"
