"""A whole scene that is right is silent; spoiled in one place it has the code of that fault.

Each fault would give a plausible map. The files are a part of the sample scene; a fault is one step of
editing.
"""
# ruff: noqa: ARG001, ARG005 - each edit gets folder and document

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from scipy.ndimage import gaussian_filter

from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.scene.model import load_scene
from tests.support.sample_scene import cut_sample

Document = dict[str, Any]
Edit = Callable[[Path, Document], object]
CORNER, SMALL, WIDE = (336, 336), 160, 256
"""Row and column of the parts, and their edges."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a part of the sample scene where it shows fields and slopes."""
    return cut_sample(tmp_path_factory.mktemp("small"), CORNER, (SMALL, SMALL)).parent


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same with more ground around."""
    return cut_sample(tmp_path_factory.mktemp("wide"), CORNER, (WIDE, WIDE)).parent


def reported(base: Path, folder: Path, spoil: Edit) -> set[str]:
    """Return the codes that the scene gives once `spoil` has edited a copy of it."""
    shutil.copytree(base, folder, dirs_exist_ok=True)
    document = yaml.load((folder / "scene.yaml").read_text(), yaml.CSafeLoader)
    spoil(folder, document)
    (folder / "scene.yaml").write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    try:
        inputs = open_inputs(load_scene(folder / "scene.yaml"))
    except InputError as error:
        return {error.code}
    return {notice.code for notice in inputs.notices}


def edited(path: Path, change: Callable[[np.ndarray], np.ndarray], **profile: Any) -> None:
    """Write a raster again with other pixels, and another profile where it is given."""
    with rasterio.open(path) as source:
        pixels, kept = source.read(), dict(source.profile)
    changed = np.asarray([change(band) for band in pixels])
    kept.pop("photometric", None)
    kept |= {"count": len(changed), "height": changed.shape[1], "width": changed.shape[2]} | profile
    path.unlink()
    with rasterio.open(path, "w", **kept) as out:
        out.write(changed.astype(kept["dtype"]))


def pixels(name: str, change: Callable[[np.ndarray], np.ndarray], **profile: Any) -> Edit:
    """Spoil the pixels of all files of a pattern."""

    def spoil(folder: Path, document: Document) -> None:
        found = sorted(folder.glob(name))
        assert found
        for path in found:
            edited(path, change, **profile)

    return spoil


def said(path: str, value: Any) -> Edit:
    """Spoil one value of scene.yaml."""

    def spoil(folder: Path, document: Document) -> None:
        *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        at: Any = document
        for key in keys:
            at = at[key]
        at[last] = value

    return spoil


def swapped(one: str, other: str) -> Edit:
    def spoil(folder: Path, document: Document) -> None:
        (folder / one).rename(folder / "kept")
        (folder / other).rename(folder / one)
        (folder / "kept").rename(folder / other)

    return spoil


def copied(one: str, other: str) -> Edit:
    def spoil(folder: Path, document: Document) -> None:
        for name in ("vv", "vh"):
            with rasterio.open(folder / f"s1/{one}_{name}.tif") as source:
                kept = source.read(1)
            edited(folder / f"s1/{other}_{name}.tif", lambda _, kept=kept: kept)

    return spoil


def moved(rows: int, cols: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda band: np.roll(band, (rows, cols), (0, 1))


def of_product(*sides: str, **declared: str) -> Edit:
    """Name the images of some sides of the ascending track as HyP3 names its products, in dB."""

    def spoil(folder: Path, document: Document) -> None:
        track = document["s1"]["ascending"]
        for one in (*track["pre"], *track["post"]):
            one.update({"quantity": "gamma0_rtc", **declared})
        for one in (one for side in sides for one in track[side]):
            when = f"{one['datetime']:%Y%m%dT%H%M%S}"
            for name in ("vv", "vh"):
                new = f"s1/S1A_IW_{when}_DVP_RTC10_G_gdunem_0A1B_{name.upper()}.tif"
                (folder / one[name]).rename(folder / new)
                one[name] = new

    return spoil


def pre_of_a_third(folder: Path, document: Document) -> None:
    for path in sorted(folder.glob("s2/20240731_*.tif")):
        with rasterio.open(path) as source:
            wide = source.width // 3
        edited(path, lambda band, wide=wide: band[:, :wide])


def composite(sign: float, smooth: float = 0.0, other: bool = False) -> Edit:
    """Give the ascending track as a composite; its differences are of this sign."""

    def spoil(folder: Path, document: Document) -> None:
        def read(date: str, name: str) -> np.ndarray:
            with rasterio.open(folder / f"s1/asc_{date}_{name}.tif") as source:
                values = source.read(1).astype(float)
            return gaussian_filter(values, smooth) if smooth else values

        after = [read("20240829", name) for name in ("vv", "vh")]
        before = [read("20240817", name) for name in ("vv", "vh")]
        shown = [read("20240805", name) for name in ("vv", "vh")] if other else after
        bands = [*shown, *(sign * (a - b) for a, b in zip(after, before, strict=True))]
        with rasterio.open(folder / "s1/asc_20240829_vv.tif") as source:
            profile = source.profile | {"count": 4, "dtype": "float32"}
        with rasterio.open(folder / "composite.tif", "w", **profile) as out:
            out.write(np.asarray(bands, np.float32))
        document["s1"]["ascending"] = {"composite": "composite.tif"}

    return spoil


def dem(change: Callable[[np.ndarray], np.ndarray], name: str = "dem.tif", **profile: Any) -> Edit:
    def spoil(folder: Path, document: Document) -> None:
        edited(folder / "dem.tif", change, **profile)
        (folder / "dem.tif").rename(folder / name)
        document["dem"] = name

    return spoil


def slope(z: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan(np.hypot(*np.gradient(z.astype(float), 10.0))))


def hillshade(z: np.ndarray) -> np.ndarray:
    down, right = np.gradient(z.astype(float), 10.0)
    return np.clip(128 + 90 * (right - down), 1, 255)


SPOILED: dict[str, tuple[Edit, str]] = {
    "nir upside down": (pixels("s2/B08.tif", np.flipud), "W215"),
    "nir 5 px off": (pixels("s2/B08.tif", moved(5, 0)), "E209"),
    "blue upside down": (pixels("s2/B02.tif", np.flipud), "W215"),
    "all bands upside down": (pixels("s2/*.tif", np.flipud), "W219"),
    "all bands turned by 180 degrees": (pixels("s2/*.tif", lambda b: b[::-1, ::-1]), "W219"),
    "all bands 8 px off": (pixels("s2/*.tif", moved(0, 8)), "W219"),
    "classification upside down": (pixels("s2/SCL.tif", np.flipud), "W220"),
    "red and nir swapped": (swapped("s2/B04.tif", "s2/B08.tif"), "E206"),
    "blue and red swapped": (swapped("s2/B04.tif", "s2/B02.tif"), "W206"),
    "offset denied": (said("s2.post.offset", "absent"), "E204"),
    "8-bit": (pixels("s2/B*.tif", lambda b: b // 40), "E205"),
    "reflectance": (pixels("s2/B*.tif", lambda b: (b - 1000.0) / 10000, dtype="float32"), "E205"),
    "image from before the event": (said("s2.post.datetime", "2024-08-13T02:07:00Z"), "E208"),
    "image long after the event": (said("s2.post.datetime", "2025-02-13T02:07:00Z"), "W209"),
    "stretched to 16 bits": (pixels("s2/B*.tif", lambda b: (b - 1000.0) * 12), "E205"),
    "pre and post swapped": (
        lambda f, d: d["s1"]["ascending"].update(
            pre=d["s1"]["ascending"]["post"], post=d["s1"]["ascending"]["pre"]
        ),
        "E302",
    ),
    "directions swapped": (
        lambda f, d: d["s1"].update(ascending=d["s1"]["descending"], descending=d["s1"]["ascending"]),
        "E303",
    ),
    "another track before": (said("s1.ascending.pre.0.relative_orbit", 25), "E304"),
    "polarisations swapped": (
        lambda f, d: d["s1"]["ascending"]["post"][0].update(
            vv="s1/asc_20240829_vh.tif", vh="s1/asc_20240829_vv.tif"
        ),
        "E305",
    ),
    "power declared dB": (pixels("s1/asc_20240829_*.tif", lambda b: 10 ** (b / 10)), "E301"),
    "amplitude declared power": (
        lambda f, d: (
            pixels("s1/asc_*.tif", lambda b: 10 ** (b / 20))(f, d),
            [one.update(units="power") for side in ("pre", "post") for one in d["s1"]["ascending"][side]],
        ),
        "E301",
    ),
    "20 log10 instead of 10": (pixels("s1/asc_*.tif", lambda b: 2 * b), "W301"),
    "dB times 100": (pixels("s1/asc_*.tif", lambda b: 100 * b), "E301"),
    "the same image on both sides": (copied("asc_20240829", "asc_20240817"), "E306"),
    "the same image twice before": (copied("asc_20240805", "asc_20240817"), "E306"),
    "one date 6 dB up": (pixels("s1/asc_20240805_*.tif", lambda b: b + 6), "W341"),
    "one date 6 dB up in VH only": (pixels("s1/asc_20240805_vh.tif", lambda b: b + 5.5), "W341"),
    "the image after 6 dB down": (pixels("s1/asc_20240829_*.tif", lambda b: b - 6), "W341"),
    "another radiometry before": (
        lambda f, d: [one.update(quantity="gamma0_rtc") for one in d["s1"]["ascending"]["pre"]],
        "E315",
    ),
    "products of another make before": (of_product("pre"), "W307"),
    "radiometry that the product denies": (of_product("pre", "post", quantity="sigma0"), "W316"),
    "image before the event of a third of the grid": (pre_of_a_third, "W218"),
    "one date 5 px off": (pixels("s1/asc_20240805_*.tif", moved(0, 5)), "E331"),
    "one date upside down": (pixels("s1/asc_20240805_*.tif", np.flipud), "W331"),
    "one date of other pixels, 40 m off": (
        lambda f, d: [shift_grid(f / f"s1/asc_20240805_{name}.tif", 45, 0) for name in ("vv", "vh")],
        "E331",
    ),
    "speckle filtered": (pixels("s1/asc_*.tif", lambda b: gaussian_filter(b, 1.5)), "W314"),
    "fill -20 in a quarter": (
        pixels("s1/asc_20240829_*.tif", lambda b: np.where(np.arange(len(b)) < len(b) / 4, -20, b)),
        "E350",
    ),
    "differences pre - post": (composite(-1), "E307"),
    "differences pre - post of smooth images": (composite(-1, smooth=2), "E307"),
    "differences of another image": (composite(1, other=True), "W309"),
    "differences of another image, pre - post": (composite(-1, other=True), "W309"),
    "dem in feet by its tag": (
        lambda f, d: (dem(lambda z: z / 0.3048)(f, d), unit_tag(f / "dem.tif", "ft")),
        "E381",
    ),
    "dem in decimetres": (dem(lambda z: z * 10), "W381"),
    "dem with scale tag": (
        lambda f, d: (dem(lambda z: z / 2)(f, d), scale_tag(f / "dem.tif", 2.0)),
        "E381",
    ),
    "dem named a slope": (dem(lambda z: z, name="dem_slope.tif"), "W381"),
    "slopes instead of heights": (dem(slope), "W381"),
    "hillshade instead of heights": (dem(hillshade, dtype="uint8", nodata=0), "E381"),
    "dem half zero": (dem(lambda z: np.where(np.arange(z.shape[1]) < z.shape[1] / 2, 0, z)), "W350"),
    "dem all zero": (dem(lambda z: 0 * z), "W350"),
    "dem with undeclared voids": (dem(lambda z: np.where(z > np.median(z), -32768, z), nodata=None), "W360"),
}

DISPLACED = {
    "nir upside down",
    "nir 5 px off",
    "all bands upside down",
    "all bands turned by 180 degrees",
    "all bands 8 px off",
    "classification upside down",
}
"""These show on more ground only."""


def shift_grid(path: Path, east: float, north: float) -> None:
    with rasterio.open(path, "r+") as out:
        t = out.transform
        out.transform = Affine(t.a, 0, t.c + east, 0, t.e, t.f + north)


def unit_tag(path: Path, unit: str) -> None:
    with rasterio.open(path, "r+") as out:
        out.set_band_unit(1, unit)


def scale_tag(path: Path, scale: float) -> None:
    with rasterio.open(path, "r+") as out:
        out.scales = (scale,)


SILENT: dict[str, Edit] = {
    "as it is": lambda f, d: None,
    "with elevation": lambda f, d: d.update(dem="dem.tif"),
    "a composite": composite(1),
    "one date 2 dB up": pixels("s1/asc_20240805_*.tif", lambda b: b + 2),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_scene_has_its_code(small: Path, wide: Path, tmp_path: Path, name: str):
    spoil, code = SPOILED[name]
    assert code in reported(wide if name in DISPLACED else small, tmp_path, spoil)


@pytest.mark.parametrize("name", SILENT)
def test_a_scene_that_is_right_is_silent(wide: Path, tmp_path: Path, name: str):
    assert {code for code in reported(wide, tmp_path, SILENT[name]) if code[0] != "I"} == set()
