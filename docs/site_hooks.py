"""Pages of the site that lie outside `docs/`, and links that lead there."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "landslide_map/bundles/default/CARD.md": "model-card.md",
    "sample_scenes/README.md": "sample-scenes.md",
}
"""File of the repository -> page of the site."""
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|`[^`]*`)*)\]\(([^)\s]+)\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that lie elsewhere in the repository."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Lead links that leave `docs/` to the page here; where the site has none, show the words alone."""
    sources = {name: source for source, name in PAGES.items()}
    here = PurePosixPath(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def replaced(match: re.Match[str]) -> str:
        words, target = match.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        path, mark, anchor = target.partition("#")
        if path == "":
            return match[0]
        goal = os.path.normpath(here.parent / path)
        if not (ROOT / goal).exists():
            return match[0]  # the strict build reports it
        inside = PAGES.get(goal) or (goal.removeprefix("docs/") if goal.startswith("docs/") else None)
        if inside is None or not (ROOT / goal).is_file():
            return f"{words} (`{goal}` in the repository)"
        relative = os.path.relpath(inside, PurePosixPath(page.file.src_uri).parent)
        return f"[{words}]({relative}{mark}{anchor})"

    return LINK.sub(replaced, markdown)
