"""Ids in paths."""

from werkzeug.routing import PathConverter


class IdConverter(PathConverter):
    """Matches an id, which may be any text: slashes are part of it, also as its first character."""

    regex = ".+?"
    part_isolating = False
