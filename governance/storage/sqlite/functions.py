"""SQLite's forms of the functions in `storage/functions.py`. Importing this module registers them."""

from typing import Any

from sqlalchemy.ext.compiler import compiles

from governance.storage.functions import TextPosition


@compiles(TextPosition, "sqlite")
def instr(position: TextPosition, compiler: Any, **options: Any) -> str:
    """Compile to SQLite's name of the function."""
    return f"instr{compiler.process(position.clause_expr, **options)}"
