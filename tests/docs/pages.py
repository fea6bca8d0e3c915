"""The pages for users, and their contents: sections, blocks of examples, tables, links, anchors."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""The pages in which every example is run."""

FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, and its text."""

    language: str
    text: str


class Section(NamedTuple):
    """A second-level section of a page, or the part before the first section, under the page's title."""

    page: str
    heading: str
    blocks: list[Block]


def name(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


def text_sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the heading and the text of each section."""
    for part in re.split(r"^##? (?=\S)", outside_of_blocks(text, keep=True), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        yield heading, body.replace("\0", "#")


def sections(page: Path) -> list[Section]:
    """Return the sections of a page, in order."""
    return [
        Section(name(page), heading, [Block(*found) for found in FENCED.findall(body)])
        for heading, body in text_sections(page.read_text())
    ]


def outside_of_blocks(text: str, *, keep: bool = False) -> str:
    """Return a page's text without the text of fenced blocks.

    If `keep` is true, that text stays, but a `#` in it marks no heading.
    """
    return FENCED.sub(lambda found: found[0].replace("#", "\0") if keep else "", text)


def table(page: str, heading: str) -> list[str]:
    """Return the rows under a heading that begin with a code word, without the table's head."""
    body = dict(text_sections((ROOT / page).read_text()))[heading]
    return [line for line in body.splitlines() if line.startswith("| `")]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links, without those to other sites."""
    return [link for link in LINK.findall(outside_of_blocks(page.read_text())) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(outside_of_blocks(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
