"""Training of pixel members: published layouts, splits and schedule, stopping, going on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

from landslide_map.datasets.pixel_data import open_pixel_data  # noqa: E402
from landslide_map.errors import LandslideMapError  # noqa: E402
from landslide_map.models.bundle.load import load_bundle  # noqa: E402
from landslide_map.training.pixels import train as training  # noqa: E402
from landslide_map.training.pixels.choose import chosen_recipe  # noqa: E402
from landslide_map.training.pixels.fit import fit  # noqa: E402
from landslide_map.training.pixels.recipe import PixelRecipe, Sampling, load_pixel_recipe  # noqa: E402
from landslide_map.training.pixels.samples import Samples  # noqa: E402
from landslide_map.training.pixels.split import split  # noqa: E402
from landslide_map.training.pixels.train import TrainingOptions, spec_of, train_pixels  # noqa: E402

CHANNELS = ("red", "nir", "both_diff_vv")


def tiny(**changes: Any) -> PixelRecipe:
    values: dict[str, Any] = {
        "kind": "pixels",
        "name": "tiny",
        "layout": "tiles",
        "channels": CHANNELS,
        "network": {"architecture": "unet", "encoder": "resnet18", "decoder_channels": (16, 8), "tile": 64},
        "loss": "l4s",
        "sampling": {"crop": 32, "per_epoch": 16, "batch": 8, "augment": True, "anywhere": 0.3},
        "schedule": {"learning_rate": 0.01, "decay": "cosine"},
        "stopping": {"most_epochs": 3},
        "seed": 1,
    }
    return PixelRecipe.model_validate(values | changes)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles in which the first channel alone shows landslides."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(4)
    (folder / "img").mkdir()
    (folder / "mask").mkdir()
    for i in range(6):
        mask = np.zeros((64, 64), np.uint8)
        top, left = rng.integers(5, 30, 2)
        mask[top : top + 22, left : left + 18] = 1
        image = rng.normal(10, 1, (3, 64, 64)).astype(np.float32)
        image[0] += 4 * mask
        image[:, 0, 0] = np.nan
        np.save(folder / "img" / f"t{i}.npy", image)
        np.save(folder / "mask" / f"t{i}.npy", mask)
    channels = '["red", "nir", "both_diff_vv"]'
    (folder / "tiles.json").write_text(f'{{"scene": "a", "channels": {channels}}}')
    return folder


def test_jitter_gives_each_plane_a_gain_and_an_offset_of_its_own_and_leaves_the_mask() -> None:
    rng = np.random.default_rng(2)
    image = rng.normal(size=(3, 32, 32)).astype(np.float32)
    mask = rng.random((32, 32)) > 0.5
    samples = Samples([(image, mask)], Sampling(batch=64, jitter=0.3), np.random.default_rng(5))
    drawn = [next(iter(samples.epoch())) for _ in range(200)]
    fits = np.array([[np.polyfit(image[i].ravel(), x[0][0, i].ravel(), 1) for i in range(3)] for x in drawn])
    assert all((labels[0, 0] == mask).all() for _, labels in drawn)
    assert np.log(fits[..., 0]).std() == pytest.approx(0.3, rel=0.15)
    assert fits[..., 1].std() == pytest.approx(0.3, rel=0.15)
    assert np.corrcoef(fits[:, 0, 1], fits[:, 1, 1])[0, 1] == pytest.approx(0.5, abs=0.15)
    plain = Samples([(image, mask)], Sampling(batch=64), np.random.default_rng(5))
    np.testing.assert_array_equal(next(iter(plain.epoch()))[0][0], image)


def test_a_network_learns_what_the_tiles_show(tiles: Path, tmp_path: Path) -> None:
    recipe = tiny(stopping={"most_epochs": 10}, sampling={"crop": 64, "batch": 4, "per_epoch": 12})
    trained = train_pixels([tiles], recipe, tmp_path / "bundle")
    assert trained.figures[0]["f1_pooled"] > 0.9
    bundle = load_bundle(tmp_path / "bundle", pixel_members_suffice=True)
    member = bundle.pixel_members[0]
    assert member.channels == CHANNELS
    data = open_pixel_data([tiles], "tiles")
    image, mask = data.read(0)
    found = member.predict(image[None])[0] > 0.5
    assert (found == mask).mean() > 0.95
    assert not (tmp_path / "bundle.training").exists()


def test_going_on_after_a_kill_gives_the_same_weights(tiles: Path, tmp_path: Path) -> None:
    whole = train_pixels([tiles], tiny(), tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(_stage: Any, done: int, _most: int) -> None:
        if done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train_pixels([tiles], tiny(), tmp_path / "parts", progress=kill)
    assert not (tmp_path / "parts").exists()
    with pytest.raises(LandslideMapError) as caught:
        train_pixels([tiles], tiny(seed=2), tmp_path / "parts")
    assert caught.value.code == "E531"
    train_pixels([tiles], tiny(), tmp_path / "parts")
    weights = [(tmp_path / name / "tiny.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
    assert whole.figures[0]["epochs"] == 3


def test_published_splits() -> None:
    recipe = load_pixel_recipe("ganerod-s1s2")
    train, held = split(recipe, [str(i) for i in range(20)])
    assert held == [0, 1, 15, 17]
    assert sorted(train + held) == list(range(20))
    l4s = load_pixel_recipe("l4s")
    train, held = split(l4s, [""] * 3799)
    assert (len(train), len(held)) == (3039, 760)
    with torch.random.fork_rng():
        torch.manual_seed(42)
        first, _ = torch.utils.data.random_split(range(3799), [3039, 760])
    assert train == list(first.indices)


def test_scenes_are_never_divided() -> None:
    regions = ["a", "b", "c", "d", "e"] * 4
    train, held = split(tiny(), regions)
    assert not {regions[i] for i in train} & {regions[i] for i in held}


def test_the_recipes_are_those_of_the_papers() -> None:
    for setting, planes in (("s1", 9), ("s2", 2), ("s1s2", 11), ("all", 15)):
        recipe = load_pixel_recipe(f"ganerod-{setting}")
        assert (recipe.sampling.crop, recipe.sampling.per_epoch, recipe.sampling.batch) == (256, 1000, 4)
        grid = training._recipes(recipe, TrainingOptions(grid=True))
        assert len(grid) == 90
        fiftieth = grid[f"{setting}-56-pan-jaccard-0.001"]
        assert (fiftieth.network.architecture, fiftieth.loss) == ("pan", "jaccard")
        assert len(spec_of(recipe, fake_data(15), [0]).channels) == planes
    l4s = chosen_recipe("l4s", row="mit_b1")
    assert (l4s.network.adapter, l4s.stopping.keep, l4s.sampling.augment) == (3, "last", False)
    assert chosen_recipe("l4s", row="unet6").scaling == "six-channel"
    for options in ({"row": "resnet99"}, {"row": "vgg16"}):
        name = "l4s" if options["row"] == "resnet99" else "small-pixels"
        with pytest.raises(LandslideMapError) as caught:
            chosen_recipe(name, **options)  # type: ignore[arg-type]
        assert caught.value.code == "E402"


def fake_data(bands: int) -> Any:
    from landslide_map.models.published.ganerod import BAND_NAMES

    class Data:
        channels = BAND_NAMES[:bands]

        def __iter__(self) -> Any:
            return iter([(np.random.default_rng(0).normal(size=(bands, 8, 8)), np.ones((8, 8), bool))])

    return Data()


def test_the_layout_of_the_heterogeneous_ensemble(tmp_path: Path) -> None:
    for kind, count in (("input", 15), ("label", 1)):
        folder = tmp_path / "train_val" / kind
        folder.mkdir(parents=True)
        for area in range(6):
            pixels = np.random.default_rng(area).normal(size=(count, 70, 96)).astype(np.float32)
            profile = {"driver": "GTiff", "count": count, "height": 70, "width": 96, "dtype": "float32"}
            place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 6e6)}
            with rasterio.open(folder / f"area{area}_{kind}.tif", "w", **profile, **place) as raster:
                raster.write(pixels if kind == "input" else (pixels > 1.5).astype(np.float32))
    recipe = load_pixel_recipe("ganerod-s2").model_copy(
        update={
            "network": tiny().network,
            "sampling": tiny().sampling,
            "stopping": tiny().stopping.model_copy(update={"most_epochs": 1, "sanity_pass": True}),
        }
    )
    trained = train_pixels([tmp_path], recipe, tmp_path / "bundle")
    member = load_bundle(tmp_path / "bundle", pixel_members_suffice=True).pixel_members[0]
    assert member.channels == ("ganerod_13", "ganerod_14")
    assert trained.figures[0]["rank_f1"] >= trained.figures[0]["f1_pooled"]


def test_the_layout_of_landslide4sense_and_its_wrong_masks(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    for name in ("img", "mask"):
        (tmp_path / "TrainData" / name).mkdir(parents=True)
    for i in range(1, 6):
        with h5py.File(tmp_path / f"TrainData/img/image_{i}.h5", "w") as file:
            file["img"] = rng.normal(1, 0.3, (64, 64, 14))
        with h5py.File(tmp_path / f"TrainData/mask/mask_{i}.h5", "w") as file:
            file["mask"] = (rng.random((64, 64)) > 0.9).astype(np.uint8)
    stopping = {"stopping": tiny().stopping.model_copy(update={"most_epochs": 1, "keep": "last"})}
    recipe = chosen_recipe("l4s", row="unet6").model_copy(update=stopping)
    train_pixels([tmp_path], recipe, tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle", pixel_members_suffice=True).pixel_members[0].spec.planes == 6
    for values, code in (
        (np.full((64, 64), 255), "E182"),
        (np.ones((64, 65)), "E183"),
    ):
        with h5py.File(tmp_path / "TrainData/mask/mask_3.h5", "w") as file:
            file["mask"] = values
        with pytest.raises(LandslideMapError) as caught:
            open_pixel_data([tmp_path], "l4s").read(2)
        assert caught.value.code == code
    for i in range(1, 6):
        with h5py.File(tmp_path / f"TrainData/mask/mask_{i}.h5", "w") as file:
            file["mask"] = np.zeros((64, 64))
    copied = tmp_path / "copy"
    (tmp_path / "TrainData").rename(copied)
    (tmp_path / "again").mkdir()
    copied.rename(tmp_path / "again/TrainData")
    with pytest.raises(LandslideMapError) as caught:
        train_pixels([tmp_path / "again"], recipe, tmp_path / "other")
    assert caught.value.code == "E184"


def test_areas_weigh_the_same_whatever_their_size() -> None:
    rng = np.random.default_rng(0)
    images = [
        (np.full((1, size, size), i, np.float32), rng.random((size, size)) > 0.9)
        for i, size in enumerate((40, 200))
    ]
    samples = Samples(images, tiny().sampling.model_copy(update={"per_epoch": 40}), rng)
    seen = np.concatenate([planes[:, 0, 0, 0] for planes, _ in samples.epoch()])
    assert (seen == 0).sum() == (seen == 1).sum() == 20


def test_training_stops_and_keeps_as_the_recipe_says(tiles: Path, tmp_path: Path) -> None:
    data = open_pixel_data([tiles], "tiles")
    recipe = tiny(
        stopping={"most_epochs": 30, "least_epochs": 2, "patience": 2, "monitor": "loss"},
        schedule={"learning_rate": 0.01, "decay": "step", "wait": 2},
    )
    images = [(np.nan_to_num(image), mask) for image, mask in data]
    state = fit(spec_of(recipe, data, range(6)), recipe, images[:4], images[4:], tmp_path / "c")
    losses = [epoch["loss"] for epoch in state.history]
    assert len(losses) == 30 or len(losses) - 1 - int(np.argmin(losses)) == 2
    for number, epoch in enumerate(state.history):
        assert epoch["rate"] == pytest.approx(0.01 * 0.1 ** (number // 2))
