"""Ids in paths."""

from werkzeug.routing import PathConverter


class IdConverter(PathConverter):
    """An id is any text, so a slash in one, even the first character, is a part of it."""

    regex = ".+?"
    part_isolating = False
