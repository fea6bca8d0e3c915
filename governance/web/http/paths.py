"""Ids in paths."""

from werkzeug.routing import PathConverter


class IdConverter(PathConverter):
    """Matches an id, which may be any text. An id may contain slashes, and may begin with one."""

    regex = ".+?"
    part_isolating = False
