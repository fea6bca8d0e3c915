"""What answers of every subject share: a page's numbers, and an act with nothing to show."""

from marshmallow import Schema

from schemas.responses.fields import text, whole


class Done(Schema):
    """An act that has nothing to show."""

    message = text()


class Paged(Schema):
    """The numbers of a page."""

    total_count = whole("How many match, before paging.")
    count = whole("How many are on this page.")
    limit = whole("The page size in effect.")
    offset = whole()
