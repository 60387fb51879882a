"""``scene.yaml`` as a strict model, checked before any raster is opened.

Unknown keys are refused with the nearest valid key, paths resolve against the file's folder and
times need a zone. The content of the files is checked by `inputs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from landslide_map.bands import FURTHER_BANDS
from landslide_map.errors import UsageError
from landslide_map.options import (
    BackscatterUnits,
    OperatingPoint,
    Outline,
    Pixels,
    Quantity,
    Registration,
    Voters,
)
from landslide_map.scene.fields import (
    FilePath,
    FilePaths,
    NodataValues,
    UtcTime,
    folder_or_mapping,
    none_for,
    one_image,
    one_or_more,
    one_or_more_parts,
    path_or_mapping,
)
from landslide_map.scene.messages import explain, read_mapping
from landslide_map.windows import LEAST_STRIDE, SIZE


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


M = TypeVar("M", bound=_Model)


def _no_repeats(model: M, numbers: dict[str, int]) -> M:
    """Return `model` if each band has a number of its own."""
    if not numbers or len(set(numbers.values())) < len(numbers):
        raise ValueError(f"expected a different number for each band; found {numbers}")
    return model


class Event(_Model):
    """The trigger event."""

    time: UtcTime
    name: str | None = None


class GridSpec(_Model):
    """The target grid, 10 m: all of `epsg, ulx, uly, width, height`, or `aoi` (and perhaps `epsg`)."""

    epsg: PositiveInt | None = None
    ulx: float | None = None
    uly: float | None = None
    width: PositiveInt | None = None
    height: PositiveInt | None = None
    aoi: FilePath | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        corner = {name: getattr(self, name) for name in ("ulx", "uly", "width", "height")}
        if self.aoi is not None:
            if any(value is not None for value in corner.values()):
                raise ValueError("give either aoi or ulx, uly, width and height, not both")
            return self
        missing = [name for name, value in {"epsg": self.epsg, **corner}.items() if value is None]
        if missing:
            raise ValueError(
                f"expected aoi, or epsg, ulx, uly, width and height; missing {', '.join(missing)}"
            )
        return self


class OpticalBands(_Model):
    """One-based band numbers in a multi-band Sentinel-2 raster."""

    red: PositiveInt | None = None
    green: PositiveInt | None = None
    blue: PositiveInt | None = None
    nir: PositiveInt | None = None

    @property
    def given(self) -> dict[str, int]:
        """Band name -> number, for those given."""
        return {name: number for name, number in self if number is not None}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        return _no_repeats(self, self.given)


class OpticalSpec(_Model):
    """A Sentinel-2 image: one product or raster (`path`), or one file per band; or lists of parts of it."""

    path: FilePath | None = None
    bands: OpticalBands | None = None
    B02: FilePath | None = None
    B03: FilePath | None = None
    B04: FilePath | None = None
    B08: FilePath | None = None
    SCL: FilePath | None = None
    B05: FilePath | None = None
    B06: FilePath | None = None
    B07: FilePath | None = None
    B8A: FilePath | None = None
    B11: FilePath | None = None
    B12: FilePath | None = None
    B01: FilePath | None = None
    B09: FilePath | None = None
    units: Literal["dn", "reflectance"] = "dn"
    offset: Literal["auto", "present", "absent"] = "auto"
    datetime: UtcTime | None = None
    nodata: NodataValues = None
    more: tuple[OpticalSpec, ...] = ()
    """Further parts of the image: files of an export that was cut, products of one pass."""

    @property
    def band_files(self) -> dict[str, Path]:
        """``red, green, blue, nir`` -> file, for those given."""
        files = {"red": self.B04, "green": self.B03, "blue": self.B02, "nir": self.B08}
        return {name: path for name, path in files.items() if path is not None}

    @property
    def further_files(self) -> dict[str, Path]:
        """``b05`` ... -> file, for those given of the bands that only pixel members read."""
        files = {name: getattr(self, name.upper()) for name in FURTHER_BANDS}
        return {name: path for name, path in files.items() if path is not None}

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.path is None and not self.band_files:
            raise ValueError(
                "expected path (SAFE folder, SAFE zip or multi-band raster) or B04, B03, B02 and B08"
            )
        if self.path is not None and self.band_files:
            raise ValueError("give either path or single-band files B04, B03, B02, B08, not both")
        if self.path is None and self.bands is not None:
            raise ValueError("bands numbers the bands of the raster in path; band files have one band each")
        return self


OpticalList = Annotated[
    tuple[Annotated[OpticalSpec, BeforeValidator(one_image)], ...],
    BeforeValidator(one_or_more),
    Field(min_length=1),
]


class Optical(_Model):
    """Sentinel-2: the image after the event, and images before it for the change of vegetation."""

    post: Annotated[OpticalSpec, BeforeValidator(one_image)]
    pre: OpticalList | None = None
    post_l1c: FilePath | None = None
    """The Level-1C product of the same image, for pixel members."""


class RadarBands(_Model):
    """One-based band numbers in a two-band Sentinel-1 raster."""

    vv: PositiveInt
    vh: PositiveInt

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        return _no_repeats(self, dict(self))


class RadarSpec(_Model):
    """One Sentinel-1 acquisition: `vv` and `vh` files (lists are slices of one datatake), or one `path`."""

    vv: FilePaths | None = None
    vh: FilePaths | None = None
    path: FilePath | None = None
    bands: RadarBands | None = None
    units: BackscatterUnits | None = None
    quantity: Quantity | None = None
    datetime: UtcTime | None = None
    orbit: Literal["ascending", "descending"] | None = Field(default=None, alias="pass")
    relative_orbit: Annotated[int, Field(ge=1, le=175)] | None = None
    platform: Annotated[str, Field(pattern=r"^S1[ABCD]$")] | None = None
    nodata: NodataValues = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        files = (self.vv, self.vh)
        if self.path is not None:
            if any(files):
                raise ValueError("give either vv and vh, or path, not both")
        elif not all(files):
            raise ValueError(
                "expected both vv and vh, or path to one raster with both bands; one polarisation alone is "
                "not enough: leave the track out where the other does not exist"
            )
        elif self.bands is not None:
            raise ValueError(
                "bands numbers the bands of the raster in path; vv and vh files have one band each"
            )
        return self


class CompositeBands(_Model):
    """One-based band numbers in a four-band composite."""

    post_vv: PositiveInt = 1
    post_vh: PositiveInt = 2
    diff_vv: PositiveInt = 3
    diff_vh: PositiveInt = 4

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        return _no_repeats(self, dict(self))


class CompositeSpec(_Model):
    """A ready four-band composite in dB: post VV, post VH, post - pre VV, post - pre VH."""

    path: FilePath
    quantity: Quantity | None = None
    bands: CompositeBands | None = None
    nodata: NodataValues = None


RadarList = Annotated[
    tuple[Annotated[RadarSpec, BeforeValidator(path_or_mapping)], ...],
    BeforeValidator(one_or_more_parts),
    Field(min_length=1),
]


class TrackSpec(_Model):
    """One orbit direction: acquisitions before and after the event, or a ready composite.

    Without `pre` the track has no differences; members that need them do not vote.
    """

    pre: RadarList | None = None
    post: RadarList | None = None
    composite: Annotated[CompositeSpec | None, BeforeValidator(path_or_mapping)] = None
    incidence: FilePaths | None = None
    local_incidence: FilePaths | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.composite is not None and (self.pre or self.post):
            raise ValueError("give either composite, or pre and post, not both")
        if self.composite is None and not self.post:
            raise ValueError("expected pre and post (at least one acquisition each), or composite")
        return self


class Radar(_Model):
    """Sentinel-1: tracks per orbit direction, or a folder of products."""

    descending: TrackSpec | None = None
    ascending: TrackSpec | None = None
    folder: FilePath | None = None
    """Products that are sorted by direction, track and side of the event."""
    registration: Registration = "check"
    orbits: FilePaths | None = None
    """Orbit files of GRD products, or folders of such files."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.folder is not None and self.tracks:
            raise ValueError("give either folder, or descending and ascending, not both")
        return self

    @property
    def tracks(self) -> dict[str, TrackSpec]:
        """Orbit direction -> track, for those given."""
        both = {"descending": self.descending, "ascending": self.ascending}
        return {orbit: track for orbit, track in both.items() if track is not None}


class Output(_Model):
    """Options of the products."""

    min_area_m2: Annotated[float, Field(ge=0)] = 0
    images: bool = True
    outline: Outline = "objects"
    pixels: Pixels = "near"


class Scene(_Model):
    """All settings of a run; no `grid` means the Sentinel-2 tile, no `bundle` the default one."""

    event: Event
    grid: Annotated[GridSpec | None, none_for("s2")] = None
    s2: Optical | None = None
    s1: Annotated[Radar | None, BeforeValidator(folder_or_mapping)] = None
    dem: FilePaths | None = None
    water: FilePath | None = None
    bundle: Annotated[FilePath | None, none_for("default")] = None
    stride: Annotated[int, Field(ge=LEAST_STRIDE, le=SIZE)] = SIZE
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    operating_point: OperatingPoint | None = None
    min_valid_fraction: Annotated[float, Field(gt=0, le=1)] = 0.75
    members: Voters = "fitting"
    output: Output = Output()

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.s2 is None and (self.s1 is None or not (self.s1.tracks or self.s1.folder)):
            raise ValueError("expected s2, s1.descending or s1.ascending; there is nothing to map")
        return self

    @model_validator(mode="after")
    def _decides_once(self) -> Self:
        if self.threshold is not None and self.operating_point is not None:
            raise ValueError("give either threshold or operating_point, not both")
        return self


def load_scene(
    path: str | Path,
    *,
    bundle: str | Path | None = None,
    stride: int | None = None,
    threshold: float | None = None,
    operating_point: OperatingPoint | None = None,
    outline: Outline | None = None,
    members: Voters | None = None,
    coregister: bool = False,
    everywhere: bool = False,
) -> Scene:
    """Read and check ``scene.yaml``.

    Parameters
    ----------
    path : str or Path
        The YAML file; relative paths inside it resolve against its folder.
    bundle, stride, threshold, operating_point, outline, members : optional
        Values of the command line, instead of the file's; a relative `bundle` resolves against the
        working directory.
    coregister : bool
        Correct displaced images, also where the file does not say so.
    everywhere : bool
        Compute pixel members on the whole grid, also where the file does not say so.

    Raises
    ------
    SceneError
        E001 not a YAML mapping, E002 unknown key, E003 missing or invalid value, E390 time without zone.
    """
    path = Path(path)
    document = read_mapping(path)
    if bundle is not None:
        document["bundle"] = str(bundle) if str(bundle) == "default" else Path.cwd() / bundle
    if threshold is not None and operating_point is not None:
        raise UsageError("E402", "give either --threshold or --operating-point, not both")
    if threshold is not None or operating_point is not None:  # either decides instead of both of the file
        document = {
            key: value for key, value in document.items() if key not in {"threshold", "operating_point"}
        }
    given = {"stride": stride, "threshold": threshold, "operating_point": operating_point, "members": members}
    document |= {key: value for key, value in given.items() if value is not None}
    drawn = {"outline": outline, "pixels": "everywhere" if everywhere else None}
    drawn = {key: value for key, value in drawn.items() if value is not None}
    if drawn and isinstance(output := document.get("output", {}), dict | None):
        document["output"] = {**(output or {}), **drawn}
    try:
        scene = Scene.model_validate(document, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise explain(error, path, Scene) from None
    if coregister and scene.s1 is not None:
        return scene.model_copy(update={"s1": scene.s1.model_copy(update={"registration": "correct"})})
    return scene
