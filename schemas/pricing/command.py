"""The command that sets the price of a model. Messages about an unknown price quote it."""

from shlex import quote

from governance.domain.installation import PROGRAM
from governance.domain.names import spelled

COMMAND = f"{PROGRAM} prices set {{}} --input DOLLARS --output DOLLARS (per million tokens)"


def command(model: str, provider: str | None) -> str:
    """Return the command that sets the price of a model. The names are the same as in the call."""
    named, bare = spelled(model, provider)
    return COMMAND.format(f"{quote(bare)} --provider {quote(named)}" if named else quote(bare))
