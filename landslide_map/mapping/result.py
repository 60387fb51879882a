"""Result of mapping a scene: its files, and views of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_map.errors import Notice
from landslide_map.products import CLASSES, LANDSLIDES, MANIFEST, PROBABILITY, PROJECT, WINDOWS

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from matplotlib.axes import Axes
    from xarray import DataArray, Dataset


@dataclass(frozen=True, slots=True)
class MapResult:
    """Result of a run: its files, and the most important numbers."""

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
        """Path of ``run.json``: inputs, options and outputs."""
        return self.out / MANIFEST

    def landslides_frame(self, layer: str = "landslides") -> GeoDataFrame:
        """Return a layer of :attr:`polygons`, in the coordinate reference system of the map.

        Parameters
        ----------
        layer : str
            Name of the layer, such as ``landslides`` or ``analysed``.
        """
        import geopandas as gpd

        return gpd.read_file(self.polygons, layer=layer)

    def windows_dataset(self) -> Dataset:
        """Return the record of all windows, dimensions ``(window row, window column)``, read into memory."""
        import xarray as xr

        with xr.open_dataset(self.window_record) as dataset:
            return dataset.load()

    def probability_raster(self) -> DataArray:
        """Return the probability raster, ``(y, x)`` float32, lazily; NaN where not analysed."""
        import rioxarray
        from xarray import DataArray

        raster = rioxarray.open_rasterio(self.probability, chunks={"x": 1024, "y": 1024}, masked=True)
        assert isinstance(raster, DataArray)
        return raster.squeeze("band", drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the probability and the outlines; needs matplotlib (extra `report`).

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; new ones if not given.
        """
        import matplotlib.pyplot as plt
        import rasterio

        ax = plt.subplots()[1] if ax is None else ax
        with rasterio.open(self.probability) as source:
            step = max(1, max(source.shape) // 1000)
            pixels = source.read(1, out_shape=(source.height // step, source.width // step), masked=True)
            left, bottom, right, top = source.bounds
        image = ax.imshow(
            pixels, extent=(left, right, bottom, top), vmin=0, vmax=1, cmap="YlOrRd", interpolation="nearest"
        )
        ax.figure.colorbar(image, ax=ax, label="probability of the windows")
        frame = self.landslides_frame()
        if len(frame):
            frame.boundary.plot(ax=ax, color="black", linewidth=0.8)
        ax.set_xlim(left, right)
        ax.set_ylim(bottom, top)
        return ax

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        rows = [("landslides", self.landslides), ("windows analysed", self.windows["analysed"])]
        rows += [("windows above the threshold", self.windows["landslide"]), ("results", self.out)]
        cells = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
        notes = "".join(f"<li>{escape(str(notice))}</li>" for notice in self.notices)
        return f"<table>{cells}</table><ul>{notes}</ul>"

    def summary(self) -> str:
        """Return one paragraph for a person."""
        planned, analysed = self.windows["planned"], self.windows["analysed"]
        found = "1 landslide area" if self.landslides == 1 else f"{self.landslides} landslide areas"
        if self.landslides == 0:
            small = any(notice.code == "I420" for notice in self.notices)
            found = "no landslide area is large enough for an outline" if small else "no landslide found"
            if not small and self.windows["landslide"]:
                found = "no landslide outlined; see the windows above the threshold, areas to check"
        if analysed == 0:
            found = "NOTHING COULD BE ANALYSED, see the notes; this is not the same as no landslide"
        return (
            f"{found}; {analysed} of {planned} windows analysed, {self.windows['landslide']} above the "
            f"threshold ({self.seconds:.1f} s). Results in {self.out}"
        )
