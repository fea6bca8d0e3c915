"""How SQLite calls the functions of `storage/functions.py`; importing this is enough."""

from typing import Any

from sqlalchemy.ext.compiler import compiles

from governance.storage.functions import TextPosition


@compiles(TextPosition, "sqlite")
def instr(position: TextPosition, compiler: Any, **options: Any) -> str:
    """SQLite has the same function under another name."""
    return f"instr{compiler.process(position.clause_expr, **options)}"
