"""What mapping a scene made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landslide_map.errors import Notice
from landslide_map.products import CLASSES, LANDSLIDES, MANIFEST, PROBABILITY, PROJECT, WINDOWS


@dataclass(frozen=True, slots=True)
class MapResult:
    """What a run made: the files, and the numbers a person asks for first."""

    out: Path
    landslides: int
    """Polygons in the layer `landslides`."""
    windows: Mapping[str, Any]
    """Windows: ``planned``, ``analysed``, ``landslide``, and per scenario and reason."""
    notices: tuple[Notice, ...]
    seconds: float
    """Wall time."""

    @property
    def probability(self) -> Path:
        """Probability of every pixel's windows, COG."""
        return self.out / PROBABILITY

    @property
    def classes(self) -> Path:
        """Landslide, not, or why not analysed, COG."""
        return self.out / CLASSES

    @property
    def polygons(self) -> Path:
        """GeoPackage with the landslides and the area analysed."""
        return self.out / LANDSLIDES

    @property
    def project(self) -> Path:
        """QGIS project with everything above."""
        return self.out / PROJECT

    @property
    def window_record(self) -> Path:
        """The choice made in every window, netCDF."""
        return self.out / WINDOWS

    @property
    def manifest(self) -> Path:
        """What went in, was decided, and came out, JSON."""
        return self.out / MANIFEST

    def summary(self) -> str:
        """Return one paragraph for a person."""
        planned, analysed = self.windows["planned"], self.windows["analysed"]
        found = "1 landslide area" if self.landslides == 1 else f"{self.landslides} landslide areas"
        if self.landslides == 0:
            small = any(notice.code == "I420" for notice in self.notices)
            found = "no landslide area is large enough for an outline" if small else "no landslide found"
        if analysed == 0:
            found = "NOTHING COULD BE ANALYSED, see the notes; this is not the same as no landslide"
        return (
            f"{found}; {analysed} of {planned} windows analysed, {self.windows['landslide']} above the "
            f"threshold ({self.seconds:.1f} s). Results in {self.out}"
        )
