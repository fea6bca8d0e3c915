"""Base schemas of responses: a success message, and the numbers that describe a page of a list."""

from marshmallow import Schema

from schemas.responses.fields import text, whole


class Done(Schema):
    """A response with a success message."""

    message = text()


class Paged(Schema):
    """The numbers that describe a page of a list."""

    total_count = whole("How many match, before paging.")
    count = whole("How many are on this page.")
    limit = whole("The page size in effect.")
    offset = whole()
