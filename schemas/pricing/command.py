"""The shell command that sets the price of a model. Messages about an unknown price contain it."""

from shlex import quote

from governance.domain.installation import PROGRAM
from governance.domain.names import spelled

COMMAND = f"{PROGRAM} prices set {{}} --input DOLLARS --output DOLLARS (per million tokens)"


def command(model: str, provider: str | None) -> str:
    """Return the command that sets the price of a model.

    The names are in the form in which calls are matched, for example in lower case.
    """
    named, bare = spelled(model, provider)
    return COMMAND.format(f"{quote(bare)} --provider {quote(named)}" if named else quote(bare))
