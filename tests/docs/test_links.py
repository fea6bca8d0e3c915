"""The links between the pages have targets, and no page is too long to read."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name

DOCUMENTS = [*PAGES, *(ROOT / name for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
PATH = re.compile(r"(?<![\w./=-])[\w.-]+(?:/[\w.-]+)+\.(?:py|md|sh)\b")
FOLDER = re.compile(r"`(?!(?:instance|metrics)/)((?:[\w.-]+/)+)`")  # the first start creates instance/metrics/
LONGEST_LINE = 200
LARGEST_README = 8 * 1024


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_a_document_names_only_files_and_folders_that_exist(page):
    text = page.read_text()
    paths = {*PATH.findall(text), *FOLDER.findall(text)}
    folders = [ROOT, ROOT / "governance", page.parent]
    assert [path for path in paths if not any((folder / path).exists() for folder in folders)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_line_is_longer_than_200_characters(page):
    lines = enumerate(page.read_text().splitlines(), 1)
    assert [number for number, line in lines if len(line) > LONGEST_LINE] == []


def test_references_to_the_contract_name_a_section_that_exists():
    sections = set(re.findall(r"^##+ ([\d.]+?)\.? ", (ROOT / "docs/contract.md").read_text(), re.MULTILINE))
    for folder in ("governance", "schemas", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            if any(part.startswith(".") for part in file.relative_to(ROOT).parts):
                continue  # an environment of a target, such as that of `make gateways`
            text = file.read_text()
            assert not re.search(r"\bSPE[C]\b", text), file
            for reference in re.findall(r"contract\.md((?:(?:,| and)? §[\d.]*\d)+)", text):
                assert set(re.findall(r"§([\d.]*\d)", reference)) <= sections, file


def test_the_readme_has_at_most_8_kib():
    assert len((ROOT / "README.md").read_bytes()) <= LARGEST_README


def test_the_readme_names_every_page():
    named = links(ROOT / "README.md")
    assert [name(page) for page in PAGES[1:] if name(page) not in named] == []
