"""Converters for the variables in Flask paths: ids, and the paths of proxied calls."""

from werkzeug.routing import PathConverter


class IdConverter(PathConverter):
    """Matches an id, which may be any text. An id may contain slashes, and may begin with a slash."""

    regex = ".+?"
    part_isolating = False


class CallConverter(PathConverter):
    """Matches the path of a proxied call as the client sent it. It may be empty, or begin with a slash."""

    regex = ".*?"
    part_isolating = False
