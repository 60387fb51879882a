"""Patches of pixel members on the page: uploaded or named, shown, scored by bundles, and exported."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import tempfile
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.features import shapes
from shapely.geometry import shape

from landslide_map.datasets.pixel_arrays import PixelArrays, open_arrays
from landslide_map.errors import BundleError, InputError, ResourceError, UsageError
from landslide_map.grid import RESOLUTION_M, Grid
from landslide_map.inference.pixels import PixelOptions, band_choices, members_of, score_pixels
from landslide_map.models.bundle.load import Bundle, load_bundle
from landslide_map.models.published.landslide4sense import BANDS as L4S_BANDS
from landslide_map.models.segmentation.member import SegmentationMember
from landslide_map.models.segmentation.scaling import L4S_DIVISOR
from landslide_map.products import cog
from landslide_map.raster.dataset import open_unplaced
from landslide_map.vector.areas import ellipsoidal_areas
from landslide_map.view.tiles import Rgba, png

LARGEST_UPLOAD: Final = 200 * 2**20
"""Bytes of one file."""
MOST_PATCHES: Final = 200
_LARGEST_EDGE: Final = 2048
_ENDINGS: Final = (".h5", ".hdf5", ".npy", ".tif", ".tiff")
_TRUE_COLOUR: Final = (("l4s_b04", "l4s_b03", "l4s_b02"), ("red", "green", "blue"))
_DARK, _BRIGHT = 1.0, 99.0
"""Percentiles of a band, and of all three, that become black and white."""
_GAMMA: Final = 1.3


@dataclass(frozen=True, slots=True)
class Model:
    """One choice of the page: a scenario or a member of a bundle."""

    key: str
    title: str
    bundle: Bundle
    members: tuple[SegmentationMember, ...]

    @property
    def description(self) -> str:
        """Return the networks in words."""
        each = [f"{own.spec.architecture} on {own.spec.encoder}" for own in self.members]
        return ", ".join(dict.fromkeys(each))


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a patch on the ground."""

    crs: CRS
    transform: Affine


@dataclass
class Patch:
    """A file of one or more images of equal size."""

    key: str
    name: str
    path: Path
    arrays: PixelArrays
    place: Place | None
    uploaded: bool
    scores: dict[tuple[str, int, bool], npt.NDArray[np.float32]] = field(default_factory=dict)


class PatchView:
    """Patches and models of one page. Uploads lie in a temporary folder that goes with it."""

    largest_upload: int = LARGEST_UPLOAD
    """Bytes of one file."""

    def __init__(self, bundles: Sequence[Path]) -> None:
        self.models = {model.key: model for model in _models([load_pixels(path) for path in bundles])}
        self._folder = Path(tempfile.mkdtemp(prefix="landslide-map-view-"))
        self._patches: dict[str, Patch] = {}
        self._changing, self._scoring = threading.Lock(), threading.Lock()

    def close(self) -> None:
        """Remove uploads."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_file(self, name: str) -> Path:
        """Return where an upload goes.

        Raises
        ------
        InputError
            E180: its name does not end as files of patches do.
        UsageError
            E452: there are too many patches.
        """
        ending = Path(name).suffix.lower()
        if ending not in _ENDINGS:
            raise InputError("E180", f"{name}: of type {ending or 'none'}; expected .h5, .npy or .tif.")
        if len(self._patches) >= MOST_PATCHES:
            raise UsageError("E452", f"the page holds {MOST_PATCHES} patches already. Remove some.")
        return self._folder / f"{secrets.token_hex(8)}{ending}"

    def add(self, path: Path, name: str, *, uploaded: bool) -> dict[str, Any]:
        """Open a file of patches; an uploaded one that cannot be used is removed.

        Raises
        ------
        InputError
            E180, E185, E186 as of :func:`.open_arrays`; E188: an image is too large for a page.
        """
        try:
            arrays = open_arrays(path, self._choices())
            if max(arrays.shape) > _LARGEST_EDGE:
                raise InputError(
                    "E188",
                    f"{name}: images of {arrays.shape[0]} x {arrays.shape[1]} px; the page shows at most "
                    f"{_LARGEST_EDGE} px. Use landslide-map score-pixels.",
                )
            patch = Patch(secrets.token_hex(6), name, path, arrays, _placed(path), uploaded)
        except InputError as error:
            if uploaded:
                path.unlink(missing_ok=True)
            raise type(error)(error.code, error.message.replace(str(path), name)) from error
        with self._changing:
            self._patches[patch.key] = patch
        return _described(patch)

    def remove(self, key: str) -> None:
        """Forget a patch; an uploaded file is removed, any other one stays."""
        with self._changing:
            patch = self.patch(key)
            del self._patches[key]
        if patch.uploaded:
            patch.path.unlink(missing_ok=True)

    def description(self) -> dict[str, Any]:
        """Return the patches and the models."""
        return {
            "patches": [_described(patch) for patch in self._patches.values()],
            "models": [
                {"key": m.key, "title": m.title, "bundle": m.bundle.name, "about": m.description}
                for m in self.models.values()
            ],
            "largest": self.largest_upload,
        }

    def patch(self, key: str) -> Patch:
        """Return a patch by its key; E451 if there is none."""
        if key not in self._patches:
            raise UsageError("E451", "there is no such patch any more.")
        return self._patches[key]

    def place(self, key: str, document: dict[str, Any]) -> dict[str, Any]:
        """Say where a patch lies; see :func:`_stated`."""
        patch = self.patch(key)
        patch.place = _stated(document)
        return _described(patch)

    def picture(self, key: str, number: int) -> bytes:
        """Return image `number` of a patch in true colour, PNG."""
        return png(_true_colour(*self._image(key, number)))

    def score(self, key: str, number: int, model: str, *, raw: bool) -> npt.NDArray[np.float32]:
        """Return probabilities ``(y, x)`` of an image by a model, computed once.

        Raises
        ------
        UsageError
            E451: there is no such patch, image or model.
        InputError
            E180, E181 as of :func:`.score_pixels`.
        """
        patch, chosen = self.patch(key), self.models.get(model)
        if chosen is None:
            raise UsageError("E451", "there is no such model.")
        image, bands = self._image(key, number)
        wanted = {name for own in chosen.members for name in own.channels}
        if lacking := sorted(wanted - set(bands)):
            raise InputError(
                "E180",
                f"{patch.name}: {chosen.title} reads {lacking[0]}, which is none of its {len(bands)} bands.",
            )
        at = (model, number, raw)
        with self._scoring:  # one at a time: networks use all cores
            if at not in patch.scores:
                one = PixelArrays(image[None], bands, False, patch.name)
                patch.scores[at] = next(score_pixels(one, chosen.members, PixelOptions(raw=raw)))
        return patch.scores[at]

    def export(self, name: str, key: str, number: int, model: str, *, raw: bool, threshold: float) -> bytes:
        """Return the probabilities of an image as ``cog.tif``, ``landslides.geojson`` or ``probability.npy``.

        Raises
        ------
        UsageError
            E451: there is no such export.
        InputError
            E103: polygons of a patch in an unknown place.
        """
        patch, values = self.patch(key), self.score(key, number, model, raw=raw)
        facts = {"model": self.models[model].title, "patch": patch.name, "image": number}
        if name == "cog.tif":
            return _cog(values, patch.place, facts)
        if name == "landslides.geojson":
            if patch.place is None:
                raise InputError(
                    "E103",
                    f"{patch.name} has no place on the ground, which polygons need. Enter it under Place: "
                    "EPSG code, left and top edge, pixel size.",
                )
            return polygons(values, patch.place, threshold, facts)
        if name == "probability.npy":
            return _npy(values)
        raise UsageError("E451", f"there is no export {name}.")

    def _choices(self) -> list[tuple[str, ...]]:
        found = [tuple(L4S_BANDS)]
        for model in self.models.values():
            found += band_choices(model.bundle, model.members)
        return list(dict.fromkeys(found))

    def _image(self, key: str, number: int) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
        patch = self.patch(key)
        if not 0 <= number < len(patch.arrays):
            raise UsageError("E451", f"{patch.name} has no image {number}.")
        return patch.arrays.read(number, number + 1)[0], patch.arrays.bands


def load_pixels(path: Path) -> Bundle:
    """Return a bundle with pixel members; E554 if it has none."""
    bundle = load_bundle(path, pixel_members_suffice=True)
    if not bundle.pixel_members:
        raise BundleError("E554", f"{path}: has no pixel members.")
    return bundle


def polygons(values: npt.NDArray[np.float32], place: Place, threshold: float, facts: dict[str, Any]) -> bytes:
    """Return the pixels above a threshold as polygons, GeoJSON in degrees (RFC 7946)."""
    mask = values > threshold
    found = [shape(one) for one, _ in shapes(mask.astype(np.uint8), mask, 8, place.transform)]
    frame = gpd.GeoDataFrame(geometry=gpd.GeoSeries(found, crs=place.crs.to_wkt()))
    frame["area_m2"] = ellipsoidal_areas(frame.geometry) if len(frame) else np.zeros(0)
    frame["threshold"] = threshold
    for key, fact in facts.items():
        frame[key] = fact
    document = json.loads(frame.to_crs("EPSG:4326").to_json(drop_id=True))
    return json.dumps(document, separators=(",", ":")).encode()


def _models(bundles: Sequence[Bundle]) -> list[Model]:
    """Return the scenarios of all bundles, then their single members where a scenario has several."""
    found = []
    for number, bundle in enumerate(bundles):
        several = f"{bundle.name}: " if len(bundles) > 1 else ""
        names: set[tuple[str, ...]] = set()
        for scenario in bundle.pixel_scenarios:
            members = tuple(members_of(bundle, scenario.name, None))
            names.add(tuple(own.name for own in members))
            found.append(Model(f"{number}s{len(names)}", several + scenario.name, bundle, members))
        for place, own in enumerate(bundle.pixel_members):
            if (own.name,) not in names:
                found.append(Model(f"{number}m{place}", several + own.name, bundle, (own,)))
    return found


def _described(patch: Patch) -> dict[str, Any]:
    rows, columns = patch.arrays.shape
    place = None
    if patch.place is not None:
        t = patch.place.transform
        place = {"crs": patch.place.crs.to_string(), "left": t.c, "top": t.f, "pixel": t.a}
    true = any(set(names) <= set(patch.arrays.bands) for names in _TRUE_COLOUR)
    return {
        "key": patch.key,
        "name": patch.name,
        "images": len(patch.arrays),
        "rows": rows,
        "columns": columns,
        "bands": len(patch.arrays.bands),
        "trueColour": true,
        "place": place,
    }


def _placed(path: Path) -> Place | None:
    """Return where a GeoTIFF lies; other files do not say."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    with open_unplaced(path) as source:
        if source.crs is None or source.transform.is_identity:
            return None
        return Place(source.crs, source.transform)


def _stated(document: dict[str, Any]) -> Place:
    """Return the place that a request states: `epsg`, `left`, `top` and `pixel`, in units of the projection.

    Raises
    ------
    InputError
        E103: there is no such projection, or the numbers are none.
    """
    try:
        crs = CRS.from_epsg(int(document["epsg"]))
        left, top, pixel = (float(document[key]) for key in ("left", "top", "pixel"))
    except (CRSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            "E103", f"the place is not understood ({error}); expected epsg, left, top, pixel."
        ) from None
    if not (np.isfinite([left, top, pixel]).all() and 0 < pixel <= 100 * RESOLUTION_M):
        raise InputError("E103", "the place is not understood; expected numbers, the pixel above 0.")
    return Place(crs, Affine(pixel, 0, left, 0, -pixel, top))


def _true_colour(image: npt.NDArray[Any], bands: tuple[str, ...]) -> Rgba:
    """Return red, green and blue of an image, haze taken off; its first bands if it lacks them."""
    names = next((own for own in _TRUE_COLOUR if set(own) <= set(bands)), (bands * 3)[:3])
    divisor = dict(zip(L4S_BANDS, L4S_DIVISOR, strict=True))
    planes = np.stack([image[bands.index(name)] * divisor.get(name, 1.0) for name in names]).astype(
        np.float64
    )
    valid = np.isfinite(planes).all(axis=0)
    if not valid.any():
        return np.zeros((4, *valid.shape), np.uint8)
    dark = np.percentile(planes[:, valid], _DARK, axis=1)[:, None, None]
    bright = np.percentile((planes - dark)[:, valid], _BRIGHT)
    shade = np.clip((planes - dark) / max(float(bright), 1e-9), 0, 1) ** (1 / _GAMMA) * 255
    out = np.zeros((4, *valid.shape), np.uint8)
    out[:3], out[3] = np.where(valid, np.nan_to_num(shade), 0).astype(np.uint8), valid * np.uint8(255)
    return out


def _cog(values: npt.NDArray[np.float32], place: Place | None, facts: dict[str, Any]) -> bytes:
    """Return a cloud-optimised GeoTIFF, without coordinates where the place is unknown."""
    rows, columns = values.shape
    grid = Grid(place.crs if place else None, place.transform if place else Affine.identity(), columns, rows)
    with tempfile.TemporaryDirectory() as folder:
        plain, path = Path(folder) / "plain.tif", Path(folder) / "cog.tif"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                target = cog.plain(plain, grid, 1, "float32", np.nan)
            with target:
                target.write(values, 1)
                target.set_band_description(1, "landslide probability, pixel level")
                target.update_tags(
                    **{f"LANDSLIDE_MAP_{key.upper()}": str(fact) for key, fact in facts.items()}
                )
            cog.finish(plain, path, overviews="AVERAGE", predictor=True)
        except RasterioError as error:
            raise ResourceError("E601", f"the GeoTIFF could not be written ({error}).") from error
        return path.read_bytes()


def _npy(values: npt.NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()
