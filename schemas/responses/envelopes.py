"""Parts of responses that all subjects share: the numbers of a page, and a success message without data."""

from marshmallow import Schema

from schemas.responses.fields import text, whole


class Done(Schema):
    """A success without data."""

    message = text()


class Paged(Schema):
    """The numbers of a page."""

    total_count = whole("How many match, before paging.")
    count = whole("How many are on this page.")
    limit = whole("The page size in effect.")
    offset = whole()
