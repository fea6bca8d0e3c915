"""The command that sets the price of a model, for the sentences about a price that is not known."""

from shlex import quote

from governance.domain.names import spelled

COMMAND = "flask governance prices set {} --input DOLLARS --output DOLLARS (per million tokens)"


def command(model: str, provider: str | None) -> str:
    """Return the command that sets the price of a model. The names are those of the call."""
    named, bare = spelled(model, provider)
    return COMMAND.format(f"{quote(bare)} --provider {quote(named)}" if named else quote(bare))
