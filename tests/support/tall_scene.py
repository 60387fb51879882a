"""A small scene of several rows of blocks: as narrow as windows allow, radar in the neighbouring zone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pyproj import Transformer
from scipy.ndimage import zoom

from tests.support.rasters import grid_at, write_band

LEFT, TOP = 300_000, 5_200_000


def write_tall_scene(folder: Path, rows: int = 2200, cols: int = 150, seed: int = 3) -> Path:
    """Write rasters and ``scene.yaml``, which is returned; pixels vary enough for every kind of answer."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ground = zoom(rng.standard_normal((rows // 40 + 2, cols // 40 + 2)), 40, order=1)

    def field(shape: tuple[int, int], level: float, spread: float, noise: float) -> np.ndarray:
        smooth = np.resize(ground, (ground.shape[0], shape[1]))
        smooth = smooth[np.arange(shape[0]) % len(smooth)]
        return level + spread * smooth + noise * rng.standard_normal(shape)

    lines = ["event: {time: 2024-06-07T12:00:00Z, name: tall}", "s2:", "  post:"]
    grid = grid_at(32632, LEFT, TOP, (rows, cols))
    for name, level in {"B04": 1700, "B03": 1750, "B02": 1600, "B08": 3200}.items():
        pixels = np.clip(field(grid.shape, level, 500, 90), 1010, 9000).astype("uint16")
        pixels[40:300, :90] = 0  # no data: some windows miss the optical image
        write_band(folder / f"{name}.tif", pixels, grid)
        lines.append(f"    {name}: {name}.tif")
    lines += ["    units: dn", "    offset: present", "    datetime: 2024-06-10T10:10:00Z", "s1:"]
    corners = [(LEFT + 10 * c, TOP - 10 * r) for r in (0, rows) for c in (0, cols)]
    x, y = Transformer.from_crs(32632, 32633, always_xy=True).transform(*np.transpose(corners))
    shape = (int((max(y) - min(y)) / 10) + 6, int((max(x) - min(x)) / 10) + 6)
    there = grid_at(32633, min(x) - 30, max(y) + 30, shape)
    for orbit, time in (("descending", "05:30:00Z"), ("ascending", "17:10:00Z")):
        lines.append(f"  {orbit}:")
        for side, day in (("pre", "01"), ("post", "13")):
            for pol, level in (("vv", -11), ("vh", -18)):
                pixels = 10 ** (field(shape, level, 2, 1.5) / 10)
                write_band(folder / f"{orbit}_{side}_{pol}.tif", pixels.astype("float32"), there)
            files = ", ".join(f"{pol}: {orbit}_{side}_{pol}.tif" for pol in ("vv", "vh"))
            lines.append(
                f"    {side}: [{{{files}, units: power, quantity: sigma0, datetime: 2024-06-{day}T{time}}}]"
            )
    scene = folder / "scene.yaml"
    scene.write_text("\n".join(lines) + "\n")
    return scene
