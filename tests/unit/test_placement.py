"""Displaced images of a track: refused, moved back or taken as they are, as scene.yaml says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform
from scipy.ndimage import gaussian_filter

from landslide_map.errors import InputError
from landslide_map.grid import Block, Grid
from landslide_map.inputs.scene_inputs import RadarTrack
from landslide_map.inputs.sentinel1.backscatter import mask_db
from landslide_map.inputs.sentinel1.track import open_track
from landslide_map.options import Registration
from landslide_map.raster.resample import read_block
from landslide_map.scene.model import TrackSpec, load_scene
from tests.support.radar_files import CORNER, LOOKS, write
from tests.support.rasters import grid_at, write_band

EVENT = datetime(2024, 4, 2, 23, 58, tzinfo=UTC)
SIZE, MARGIN = 192, 40
TRUE = Grid(rasterio.CRS.from_epsg(32651), Affine(10, 0, CORNER[0], 0, -10, CORNER[1]), SIZE, SIZE)


def relief(seed: int = 0) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE + 2 * MARGIN,) * 2), 3.0)
    return -10.0 + 3.0 * field / field.std()


def track(
    folder: Path, displaced: dict[int, tuple[int, int]], count: int = 4, even: bool = False
) -> TrackSpec:
    """Write images of which the last is after the event; some are displaced by rows and columns."""
    field = np.full((SIZE + 2 * MARGIN,) * 2, -10.0) if even else relief()
    items: dict[str, list[dict[str, object]]] = {"pre": [], "post": []}
    for i in range(count):
        down, right = displaced.get(i, (0, 0))
        seen = field[MARGIN - down : MARGIN - down + SIZE, MARGIN - right : MARGIN - right + SIZE]
        last = i == count - 1
        day = "2024-04-08" if last else f"2024-03-{3 + 12 * i:02}" if i < 3 else "2024-03-30"
        item: dict[str, object] = {"units": "db", "datetime": f"{day}T10:00:00Z"}
        for name, below in (("vv", 0.0), ("vh", 6.5)):
            random = np.random.default_rng(10 * i + len(name) + int(below))
            speckle = 10 * np.log10(random.gamma(LOOKS, 1 / LOOKS, seen.shape))
            item[name] = write(folder / f"{i}_{name}.tif", (seen - below + speckle).astype(np.float32))
        items["post" if last else "pre"].append(item)
    return TrackSpec.model_validate(items)


def opened(spec: TrackSpec, how: Registration) -> tuple[RadarTrack, list[str]]:
    found, notices = open_track("ascending", spec, EVENT, how)
    return found, [notice.code for notice in notices if notice.code[1:3] == "33"]


def resemblance(one: RadarTrack) -> float:
    """Return the correlation of the images before and after on the true grid, speckle smoothed away."""
    block = Block(MARGIN, MARGIN, SIZE - 2 * MARGIN, SIZE - 2 * MARGIN)
    seen = [
        gaussian_filter(read_block(image.bands["vv"][0], TRUE, block, decode=mask_db, nearest=True), 1.5)
        for image in (one.pre[0], one.post[0])
    ]
    return float(np.corrcoef(seen[0].ravel(), seen[1].ravel())[0, 1])


def origins(one: RadarTrack) -> list[tuple[float, float]]:
    grids = [image.bands[name][0].grid for image in (*one.pre, *one.post) for name in ("vv", "vh")]
    return [(round(g.transform.c - CORNER[0]), round(g.transform.f - CORNER[1])) for g in grids]


@pytest.mark.parametrize("shift", [(3, -2), (0, 5), (-7, 0)])
def test_an_image_before_is_moved_onto_the_one_after(tmp_path: Path, shift: tuple[int, int]):
    spec = track(tmp_path, {0: shift}, count=2)
    with pytest.raises(InputError) as error:
        opened(spec, "check")
    assert error.value.code == "E331"
    found, codes = opened(spec, "correct")
    assert codes == ["I331"]
    assert np.allclose(origins(found)[0], (-10 * shift[1], 10 * shift[0]), atol=2)
    assert np.allclose(found.pre[0].moved, shift, atol=0.2)
    assert origins(found)[2:] == [(0, 0), (0, 0)]
    assert resemblance(found) > 0.85
    assert resemblance(opened(spec, "trust")[0]) < 0.75


def test_the_image_that_most_others_contradict_is_moved(tmp_path: Path):
    for other in (1, 3):
        found, codes = opened(track(tmp_path, {other: (4, 4)}), "correct")
        moved = [max(map(abs, place)) > 20 for place in origins(found)]
        assert codes == ["I331"]
        assert moved == [i // 2 == other for i in range(8)]


def test_placement_is_not_checked_with_registration_trust_and_that_is_reported(tmp_path: Path):
    found, codes = opened(track(tmp_path, {0: (0, 9)}, count=2), "trust")
    assert codes == ["I330"]
    assert set(origins(found)) == {(0, 0)}


def test_images_that_lie_right_stay(tmp_path: Path):
    found, codes = opened(track(tmp_path, {}, count=3), "correct")
    assert codes == ["I331"]
    assert set(origins(found)) == {(0, 0)}


def test_what_cannot_be_measured_is_said(tmp_path: Path):
    assert opened(track(tmp_path, {}, count=2, even=True), "correct")[1] == ["W332"]


@pytest.mark.parametrize("epsg", [32651, 32650])
def test_images_of_other_pixels_are_compared_and_moved_too(tmp_path: Path, epsg: int):
    """Half a pixel beside the others, or in the next zone; and 60 m displaced to the south."""
    spec = track(tmp_path, {0: (6, 0)}, count=2)
    assert spec.pre is not None
    for name in ("vv", "vh"):
        with rasterio.open(tmp_path / f"0_{name}.tif", "r+") as out:
            stored = out.read(1)
            out.transform = Affine(10, 0, CORNER[0] + 5, 0, -10, CORNER[1] + 5)
        if epsg != 32651:
            write_in_zone(tmp_path / f"0_{name}.tif", stored, epsg)
    with pytest.raises(InputError) as error:
        opened(spec, "check")
    assert error.value.code == "E331"
    found, codes = opened(spec, "correct")
    assert codes == ["I331"]
    assert resemblance(found) > 0.8


def write_in_zone(path: Path, stored: np.ndarray, epsg: int) -> None:
    """Store an image on 10 m pixels of another zone: nearest pixels, NaN where it has none."""
    (x,), (y,) = transform("EPSG:32651", f"EPSG:{epsg}", [CORNER[0] + 5 * SIZE], [CORNER[1] - 5 * SIZE])
    edge = SIZE + 20
    corner = (round(x / 10) * 10 - 5 * edge, round(y / 10) * 10 + 5 * edge)
    cols, rows = np.meshgrid(np.arange(edge) + 0.5, np.arange(edge) + 0.5)
    xs, ys = transform(
        f"EPSG:{epsg}", "EPSG:32651", (corner[0] + 10 * cols).ravel(), (corner[1] - 10 * rows).ravel()
    )
    own_cols = ((np.array(xs) - CORNER[0] - 5) / 10 // 1).astype(int).reshape(rows.shape)
    own_rows = ((CORNER[1] + 5 - np.array(ys)) / 10 // 1).astype(int).reshape(rows.shape)
    inside = (own_rows >= 0) & (own_rows < SIZE) & (own_cols >= 0) & (own_cols < SIZE)
    kept = np.full(rows.shape, np.nan, np.float32)
    kept[inside] = stored[own_rows[inside], own_cols[inside]]
    write_band(path, kept, grid_at(epsg, *corner, (edge, edge)))


def test_the_command_line_decides_instead_of_the_scene(tmp_path: Path):
    text = "event: {time: 2024-04-02T23:58:00Z}\ns1: {registration: trust, folder: images}\n"
    (tmp_path / "scene.yaml").write_text(text)
    scenes = [load_scene(tmp_path / "scene.yaml", coregister=wanted).s1 for wanted in (False, True)]
    assert [one and one.registration for one in scenes] == ["trust", "correct"]
