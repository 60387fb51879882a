"""Links lead somewhere, and every page can be found from the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from landslide_map_cli.main import cli

ROOT = Path(__file__).parents[1]
PLACES = ("*.md", "docs/**/*.md", "sample_scenes/*.md", "landslide_map/bundles/*/*.md")
PAGES = sorted(page for place in PLACES for page in ROOT.glob(place))


def links(page: Path) -> list[tuple[Path, str]]:
    """Return file and anchor of every link of a page within the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    inside = [target.partition("#") for target in targets if "://" not in target]
    return [((page.parent / file).resolve() if file else page, anchor) for file, _, anchor in inside]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    if page.name == "commands.md":  # the site makes a heading for each command
        headings += [f"landslide-map-{name}" for name in cli.commands]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        assert file.exists(), file
        assert not anchor or anchor in anchors(file), f"{file} has no heading #{anchor}"


def test_every_page_can_be_found_from_the_index() -> None:
    linked = {file for file, _ in links(ROOT / "docs" / "README.md")}
    pages = set(ROOT.glob("docs/**/*.md")) - {ROOT / "docs" / "README.md"}
    assert not {str(page.relative_to(ROOT)) for page in pages - linked}


def test_no_two_pages_of_the_site_have_one_address() -> None:
    names = [page.stem for page in ROOT.glob("docs/*.*") if page.suffix in (".md", ".ipynb")]
    assert sorted(set(names)) == sorted(names)
