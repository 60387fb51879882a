"""Content of a page, from the paths on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from landslide_map.errors import UsageError
from landslide_map.view.app import Page
from landslide_map.view.patches import PatchView
from landslide_map.view.results import ResultView


@contextmanager
def opened(paths: Sequence[Path], bundles: Sequence[Path]) -> Iterator[Page]:
    """Yield the page of one folder of results, or of files with patches; uploads go when the block ends.

    Raises
    ------
    UsageError
        E402: several folders, or folders and files.
    InputError
        E160 for a folder without a finished map, E180 to E188 for files of patches.
    BundleError
        E554 for a bundle without pixel members.
    """
    folders = [path for path in paths if path.is_dir()]
    if folders and (len(paths) > 1 or bundles):
        raise UsageError("E402", "a page shows one folder of results, or files of patches with --bundle.")
    result = ResultView.open(folders[0]) if folders else None
    patches = PatchView(bundles)
    try:
        for path in paths if result is None else ():
            patches.add(path, path.name, uploaded=False)
        yield Page(result, patches)
    finally:
        patches.close()
