"""Sentinel-1 responses of the Sentinel Hub Process API, by the request beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from landslide_map.errors import InputError
from landslide_map.inputs.open_inputs import open_inputs
from landslide_map.inputs.scene_inputs import RadarTrack
from landslide_map.scene.model import Scene

EPSG, LEFT, TOP = 32651, 300_000, 2_700_000
GRID = {"epsg": EPSG, "ulx": LEFT, "uly": TOP, "width": 96, "height": 96}


def request(
    day: str, *, span: tuple[str, str] = ("T00:00:00Z", "T23:59:59Z"), nested: bool = True, **processing: Any
) -> dict[str, Any]:
    source = {
        "type": "sentinel-1-grd",
        "dataFilter": {
            "timeRange": {"from": day + span[0], "to": (day if span[1][0] == "T" else "") + span[1]},
            "acquisitionMode": "IW",
            "orbitDirection": "DESCENDING",
        },
        "processing": {"backCoeff": "SIGMA0_ELLIPSOID", "orthorectify": True, **processing},
    }
    payload = {"input": {"bounds": {}, "data": [source]}, "output": {}, "evalscript": "//VERSION=3"}
    return {"url": "https://", "headers": {}, "payload": payload} if nested else payload


def response(folder: Path, document: dict[str, Any] | str | None, seed: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    with rasterio.open(
        folder / "response.tiff", "w", driver="GTiff", width=96, height=96, count=2, dtype="float32",
        crs=f"EPSG:{EPSG}", transform=Affine(10, 0, LEFT, 0, -10, TOP),
    ) as file:  # fmt: skip
        for number, level in ((1, 0.1), (2, 0.025)):
            file.write((level * rng.gamma(4.4, 1 / 4.4, (96, 96))).astype(np.float32), number)
    if document is not None:
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / "request.json").write_text(text)
    return folder / "response.tiff"


def track(tmp_path: Path, s1: Any) -> RadarTrack:
    document = {"event": {"time": "2024-04-02T23:58:00Z"}, "grid": GRID, "s1": s1}
    return open_inputs(Scene.model_validate(document, context={"folder": tmp_path})).tracks["descending"]


@pytest.mark.parametrize("nested", [True, False])
def test_a_folder_of_responses_is_sorted(tmp_path, nested):
    for seed, day in enumerate(("2024-03-24", "2024-04-05")):
        response(tmp_path / "s1" / f"{seed:032x}", request(day, nested=nested), seed)
    found = track(tmp_path, str(tmp_path / "s1"))
    assert [f"{image.acquired:%Y-%m-%d}" for image in (*found.pre, *found.post)] == [
        "2024-03-24",
        "2024-04-05",
    ]
    assert (found.quantity, found.post[0].units) == ("sigma0", "power")
    assert found.post[0].sources["quantity"] == "request.json"


@pytest.mark.parametrize(
    ("coefficient", "quantity"),
    [("GAMMA0_TERRAIN", "gamma0_rtc"), (None, "gamma0"), ("gamma0_ellipsoid", "gamma0")],
)
def test_the_request_holds_what_was_measured(tmp_path, coefficient, quantity):
    minutes = ("T21:55:00Z", "T21:56:00Z")
    path = response(tmp_path / "a", request("2024-04-05", span=minutes, backCoeff=coefficient), 1)
    image = track(tmp_path, {"descending": {"post": [str(path)]}}).post[0]
    assert (image.quantity, image.acquired.isoformat()) == (quantity, "2024-04-05T21:55:00+00:00")


def test_scene_yaml_says_it_without_a_request(tmp_path):
    path = response(tmp_path / "a", None, 1)
    item = {"path": str(path), "quantity": "sigma0", "units": "power", "datetime": "2024-04-05T21:55:00Z"}
    assert track(tmp_path, {"descending": {"post": [item]}}).quantity == "sigma0"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (request("2024-04-05", orthorectify=False), "E311"),
        (request("2024-04-05", backCoeff="BETA0"), "E301"),
        (request("2024-04-05", span=("T00:00:00Z", "2024-04-20T00:00:00Z")), "E316"),
        (request("2024-04-05", span=("T00:00:00Z", "no time")), "E309"),
        ("{" * 100_000, "E309"),
        ('{"payload": {"input": {"data": [1, null, {"type": []}]}}}', "E309"),
        ("[]", "E309"),
    ],
)
def test_other_requests_are_refused(tmp_path, document, code):
    path = response(tmp_path / "a", document, 1)
    with pytest.raises(InputError) as refused:
        track(tmp_path, {"descending": {"post": [{"path": str(path), "units": "power"}]}})
    assert refused.value.code == code


def test_a_track_under_the_other_direction_is_refused(tmp_path):
    path = response(tmp_path / "a", request("2024-04-05"), 1)
    with pytest.raises(InputError) as refused:
        track(tmp_path, {"ascending": {"post": [str(path)]}})
    assert refused.value.code == "E303"
