"""Published segmentation weights become bundles; what is not them is refused, and nothing of it is run."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from landslide_map.datasets.pixel_arrays import of_array  # noqa: E402
from landslide_map.errors import BundleError, LandslideMapError  # noqa: E402
from landslide_map.inference.pixels import (  # noqa: E402
    PixelOptions,
    band_choices,
    members_of,
    score_pixels,
    score_pixels_of_file,
)
from landslide_map.models.bundle.load import load_bundle  # noqa: E402
from landslide_map.models.bundle.verify import verify_members  # noqa: E402
from landslide_map.models.published.import_segmentation import import_segmentation  # noqa: E402
from landslide_map.models.published.segmentation_options import ImportOptions  # noqa: E402
from landslide_map.models.published.torch_archive import read_tensors  # noqa: E402
from tests.support.published_segmentation import (  # noqa: E402
    Call,
    Evil,
    short_encoder,
    write_checkpoint,
    write_events,
    write_l4s,
)

SCALED = ImportOptions(scaled_inputs=True)


def refused(code: str, *arguments: Any, **options: Any) -> LandslideMapError:
    with pytest.raises(LandslideMapError) as caught:
        import_segmentation(*arguments, **options)
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.fixture(scope="module", autouse=True)
def _short_encoder() -> Iterator[None]:
    with short_encoder():
        yield


@pytest.fixture(scope="module")
def l4s(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A bundle of two imported Landslide4Sense networks, and the networks."""
    folder = tmp_path_factory.mktemp("l4s")
    source = folder / "files"
    source.mkdir()
    networks = {
        "mobilenet_v2": write_l4s(source / "mobilenetv2.pth", "mobilenet_v2"),
        "unet6": write_l4s(source / "unet6.pth", "unet6"),
    }
    (source / "segformer.pth").write_bytes(b"another network")
    found = import_segmentation(source, folder / "bundle")
    assert found.members == ("mobilenet_v2", "unet6")
    assert [notice.code for notice in found.notices] == ["W522", "W552"]
    return folder / "bundle", networks


@pytest.fixture(scope="module")
def ganerod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of two runs of setting s2 as published."""
    folder = tmp_path_factory.mktemp("ganerod") / "sentinel2_ensemble"
    for number, network, score in ((62, "pspnet", 0.4), (30, "linknet", 0.45)):
        write_checkpoint(folder / f"{number}/checkpoints/epoch_012.ckpt", network, "s2", number)
        (folder / f"{number}/checkpoints/last.ckpt").write_bytes(b"another epoch, which is not read")
        events = folder / f"{number}/tensorboard/version_0/events.out.tfevents.1.host"
        write_events(events, "val/f1_best", [0.027, score, 0.1])
    return folder


def test_landslide4sense_files_become_members(l4s: tuple[Path, dict[str, Any]]) -> None:
    bundle = load_bundle(l4s[0], pixel_members_suffice=True)
    assert [entry.name for entry in bundle.pixel_scenarios] == ["mobilenet_v2", "unet6", "all"]
    assert bundle.members == ()
    assert verify_members(bundle) == 2
    patch = np.random.default_rng(1).uniform(0.5, 1.5, (1, 14, 64, 64)).astype(np.float32)
    members = members_of(bundle, None, "mobilenet_v2")
    arrays = of_array(patch, band_choices(bundle, members))
    (found,) = score_pixels(arrays, members, PixelOptions(logits=True))
    with torch.inference_mode():
        expected = l4s[1]["mobilenet_v2"](torch.from_numpy(patch))[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_mean_of_a_scenario_and_one_file_of_channels_last(
    l4s: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    bundle = load_bundle(l4s[0], pixel_members_suffice=True)
    patch = np.random.default_rng(1).uniform(0.5, 1.5, (64, 96, 14)).astype(np.float32)
    np.save(tmp_path / "patch.npy", patch)
    score_pixels_of_file(tmp_path / "patch.npy", tmp_path / "p.npy", bundle, scenario="all")
    each = []
    for name in ("mobilenet_v2", "unet6"):
        score_pixels_of_file(tmp_path / "patch.npy", tmp_path / f"{name}.npy", bundle, member=name)
        each.append(np.load(tmp_path / f"{name}.npy"))
    found = np.load(tmp_path / "p.npy")
    assert found.shape == (1, 64, 96)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)


def test_runs_of_the_heterogeneous_ensemble_are_ranked(ganerod: Path, tmp_path: Path) -> None:
    found = import_segmentation(ganerod, tmp_path / "bundle", SCALED)
    assert found.members == ("s2-30-linknet-bce-0.001", "s2-62-pspnet-dice-0.001")
    assert [notice.code for notice in found.notices] == ["W550"]
    bundle = load_bundle(tmp_path / "bundle", pixel_members_suffice=True)
    assert [entry.name for entry in bundle.pixel_scenarios] == ["best 1", "all"]
    assert list(bundle.pixel_scenarios[0].weights) == ["s2-30-linknet-bce-0.001"]
    assert bundle.pixel_members[0].channels == ("ganerod_13", "ganerod_14")


def test_published_arrays_are_standardised_with_the_statistics_given(ganerod: Path, tmp_path: Path) -> None:
    mean, std = np.arange(15) - 7.0, np.arange(15) / 10 + 0.5
    lines = [f"{i},{mean[i]},{std[i]}" for i in range(15)]
    (tmp_path / "stats.csv").write_text("\n".join(["band,mean,std", *lines]))
    single = ganerod / "30/checkpoints/epoch_012.ckpt"
    options = ImportOptions(network="linknet", statistics=tmp_path / "stats.csv")
    import_segmentation(single, tmp_path / "bundle", options)
    bundle = load_bundle(tmp_path / "bundle", pixel_members_suffice=True)
    scaled = np.random.default_rng(3).normal(size=(1, 15, 64, 64))
    members = members_of(bundle, None, None)
    physical = of_array(scaled * std[:, None, None] + mean[:, None, None], band_choices(bundle, members))
    (found,) = score_pixels(physical, members)
    two = of_array(scaled[:, 13:], band_choices(bundle, members))
    (direct,) = score_pixels(two, members, PixelOptions(scaled=True))
    np.testing.assert_allclose(found, direct, atol=1e-5)


def test_statistics_are_computed_from_the_published_layout(ganerod: Path, tmp_path: Path) -> None:
    import rasterio
    from affine import Affine

    pixels = np.random.default_rng(5).normal(3, 2, (15, 40, 50)).astype(np.float32)
    pixels[:, :5] = np.nan
    inputs = tmp_path / "data/train_val/input"
    inputs.mkdir(parents=True)
    profile = {"driver": "GTiff", "count": 15, "height": 40, "width": 50, "dtype": "float32"}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 6e6)}
    with rasterio.open(inputs / "area_1.tif", "w", **profile, **place) as raster:
        raster.write(pixels)
    options = ImportOptions(network="linknet", data=tmp_path / "data")
    import_segmentation(ganerod / "30/checkpoints/epoch_012.ckpt", tmp_path / "bundle", options)
    member = load_bundle(tmp_path / "bundle", pixel_members_suffice=True).pixel_members[0]
    np.testing.assert_allclose(member.spec.scaling.mean, pixels[13:, 5:].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(member.spec.scaling.std, pixels[13:, 5:].std(axis=(1, 2)), rtol=1e-5)


def test_a_channel_map_names_the_bands(ganerod: Path, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("band,channel\n13,dndvi\n14,neg_dndvi\n")
    options = ImportOptions(network="linknet", scaled_inputs=True, channel_map=tmp_path / "map.csv")
    found = import_segmentation(ganerod / "30/checkpoints/epoch_012.ckpt", tmp_path / "bundle", options)
    assert found.notices == ()
    member = load_bundle(tmp_path / "bundle", pixel_members_suffice=True).pixel_members[0]
    assert member.channels == ("dndvi", "neg_dndvi")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("band,channel\n13,dndvi\n", "band 14"),
        ("band,channel\n13,dndvi\n14,dndvi\n", "twice"),
        ("band,channel\n13,dndvi\n14,greenness\n", "greenness"),
        ("band,channel\n13,dndvi\n15,slope\n", "15"),
        ("band,name\n13,dndvi\n", "channel"),
    ],
)
def test_channel_maps_that_leave_something_open(ganerod: Path, tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "map.csv").write_text(text)
    options = ImportOptions(network="linknet", scaled_inputs=True, channel_map=tmp_path / "map.csv")
    single = ganerod / "30/checkpoints/epoch_012.ckpt"
    assert what in str(refused("E551", single, tmp_path / "bundle", options))
    assert not (tmp_path / "bundle").exists()


def test_statistics_are_never_guessed(ganerod: Path, tmp_path: Path) -> None:
    refused("E551", ganerod, tmp_path / "bundle")
    refused("E551", ganerod, tmp_path / "bundle", ImportOptions(scaled_inputs=True, data=tmp_path))
    refused("E551", ganerod, tmp_path / "bundle", ImportOptions(data=tmp_path))
    (tmp_path / "stats.csv").write_text("band,mean,std\n13,0,1\n14,0,0\n")
    refused("E551", ganerod, tmp_path / "bundle", ImportOptions(statistics=tmp_path / "stats.csv"))


def test_files_that_are_not_what_they_should_be(ganerod: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    single = ganerod / "30/checkpoints/epoch_012.ckpt"
    refused("E550", tmp_path / "absent", out)
    (tmp_path / "trained_models.zip").write_bytes(b"PK")
    refused("E550", tmp_path / "trained_models.zip", out)
    for setting in ("sentinel1_ensemble", "sentinel2_ensemble"):
        run = tmp_path / "trained_models" / setting / "0/checkpoints"
        run.mkdir(parents=True)
        (run / "epoch_001.ckpt").touch()
    refused("E550", tmp_path / "trained_models", out, SCALED)
    (tmp_path / "empty").mkdir()
    refused("E550", tmp_path / "empty", out)
    refused("E553", single, out, SCALED)
    refused("E553", single, out, ImportOptions(network="unet3d"))
    refused("E521", single, out, ImportOptions(network="fpn", scaled_inputs=True))
    refused("E521", single, out, ImportOptions(network="linknet", setting="s1", scaled_inputs=True))
    refused("E521", single, out, ImportOptions(network="mobilenet_v2"))
    (tmp_path / "half.ckpt").write_bytes(single.read_bytes()[:-5000])
    refused("E524", tmp_path / "half.ckpt", out, ImportOptions(network="linknet", scaled_inputs=True))
    assert not out.exists()


def test_a_missing_an_added_and_a_changed_tensor_are_named(tmp_path: Path) -> None:
    write_l4s(tmp_path / "unet6.pth", "unet6")
    state = torch.load(tmp_path / "unet6.pth")
    for change, what in (
        (lambda s: s.pop("model.head.bias"), "head.bias is missing"),
        (lambda s: s.update({"model.extra": torch.zeros(1)}), "extra is unexpected"),
        (lambda s: s.update({"model.head.bias": torch.zeros(2)}), "head.bias has shape (2,)"),
    ):
        changed = dict(state)
        change(changed)
        torch.save(changed, tmp_path / "unet6.pth")
        assert what in str(refused("E521", tmp_path / "unet6.pth", tmp_path / "bundle"))
    torch.save({**state, "model.head.bias": torch.tensor([np.nan])}, tmp_path / "unet6.pth")
    refused("E524", tmp_path / "unet6.pth", tmp_path / "bundle")


def test_a_checkpoint_with_a_program_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    torch.save(
        {"state_dict": {"a": torch.zeros(1)}, "hyper_parameters": Evil(marker)}, tmp_path / "evil.ckpt"
    )
    with pytest.raises(BundleError) as caught:
        read_tensors(tmp_path / "evil.ckpt")
    assert caught.value.code == "E552"
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["pickle", "text pickle", "before torch 1.6", "other program"])
def test_programs_are_found_in_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    path, marker, tensor = tmp_path / "evil.pth", tmp_path / "ran", torch.zeros(1)
    evil = Evil(marker)
    if kind == "before torch 1.6":
        torch.save({"a": tensor, "b": evil}, path, _use_new_zipfile_serialization=False)
    elif kind == "other program":
        torch.save({"a": tensor, "b": Call(torch.hub.load, "somewhere/else", "network")}, path)
    else:
        path.write_bytes(pickle.dumps(evil, protocol=0 if kind == "text pickle" else 4))
    with pytest.raises(BundleError) as caught:
        read_tensors(path)
    assert caught.value.code == "E552"
    assert not marker.exists()


def test_pickles_without_programs_are_no_archives(tmp_path: Path) -> None:
    for name in ("plain.pth", "old.pth", "reserving.pth"):
        path = tmp_path / name
        if name == "plain.pth":
            path.write_bytes(pickle.dumps({"a": 1}))
        elif name == "old.pth":
            torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=False)
        else:
            path.write_bytes(pickle.PROTO + b"\x05" + pickle.BYTEARRAY8 + (2**40).to_bytes(8, "little"))
        with pytest.raises(BundleError) as caught:
            read_tensors(path)
        assert caught.value.code == "E524"


def test_tensors_that_share_their_numbers_cannot_fill_the_memory(tmp_path: Path) -> None:
    numbers = torch.zeros(2**18)
    torch.save({str(i): numbers[i:] for i in range(20)}, tmp_path / "shared.pth")
    with pytest.raises(BundleError) as caught:
        read_tensors(tmp_path / "shared.pth")
    assert caught.value.code == "E524"


def test_objects_of_unknown_classes_stay_inert(tmp_path: Path) -> None:
    path = tmp_path / "x/checkpoints/epoch_1.ckpt"
    made = write_checkpoint(path, "linknet", "s2")
    found = read_tensors(path)
    for key, tensor in made.state_dict().items():
        assert torch.equal(found[f"net.{key}"], tensor)


@pytest.mark.parametrize("damage", ["compressed", "short", "beyond", "pickle", "text"])
def test_damaged_archives(tmp_path: Path, damage: str) -> None:
    path, changed = tmp_path / "good.pt", tmp_path / "bad.pt"
    torch.save({"a": torch.arange(6.0)}, path)
    if damage == "text":
        changed.write_text("not a zip file")
    else:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                if damage == "short" and entry.filename.endswith("data/0"):
                    content = content[:-4]
                if damage == "beyond" and entry.filename.endswith("data.pkl"):
                    content = content.replace(b"K\x06\x85", b"K\x09\x85")
                if damage == "pickle" and entry.filename.endswith("data.pkl"):
                    content = content[: len(content) // 2]
                kind = zipfile.ZIP_DEFLATED if damage == "compressed" else zipfile.ZIP_STORED
                new.writestr(entry.filename, content, compress_type=kind)
    with pytest.raises(BundleError) as caught:
        read_tensors(changed)
    assert caught.value.code == "E524"


def test_windows_cannot_be_scored_with_pixel_members(l4s: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(BundleError) as caught:
        load_bundle(l4s[0])
    assert caught.value.code == "E555"
    with pytest.raises(BundleError) as caught:
        members_of(load_bundle(), None, None)
    assert caught.value.code == "E554"


def test_values_in_other_units(l4s: tuple[Path, dict[str, Any]]) -> None:
    bundle = load_bundle(l4s[0], pixel_members_suffice=True)
    members = members_of(bundle, None, "unet6")
    rng = np.random.default_rng(2)
    divided = rng.uniform(0.5, 1.5, (1, 14, 64, 64))
    from landslide_map.models.segmentation.scaling import L4S_DIVISOR

    dn = divided * np.array(L4S_DIVISOR)[:, None, None]
    choices = band_choices(bundle, members)
    for array, options in (
        (dn, PixelOptions()),
        (divided, PixelOptions(raw=True)),
        (divided, PixelOptions(scaled=True)),
        (dn / 10_000, PixelOptions()),
        (np.concatenate([divided[:, :12], dn[:, 12:]], axis=1), PixelOptions()),
        (np.full((1, 14, 64, 64), np.nan), PixelOptions()),
    ):
        with pytest.raises(LandslideMapError) as caught:
            list(score_pixels(of_array(array, choices), members, options))
        assert caught.value.code == ("E180" if np.isnan(array).all() else "E181")
    (raw,) = score_pixels(of_array(dn, choices), members, PixelOptions(raw=True))
    (plain,) = score_pixels(of_array(divided, choices), members)
    np.testing.assert_allclose(raw, plain, atol=1e-6)


def test_scaled_values_for_physical_members_and_the_reverse(ganerod: Path, tmp_path: Path) -> None:
    lines = [f"{i},{-12 + i},{4}" for i in range(15)]
    (tmp_path / "stats.csv").write_text("\n".join(["band,mean,std", *lines]))
    options = ImportOptions(network="linknet", statistics=tmp_path / "stats.csv")
    lines = ["band,mean,std", "13,-12,4", "14,-18,5"]
    (tmp_path / "stats.csv").write_text("\n".join(lines))
    import_segmentation(ganerod / "30/checkpoints/epoch_012.ckpt", tmp_path / "bundle", options)
    bundle = load_bundle(tmp_path / "bundle", pixel_members_suffice=True)
    members = members_of(bundle, None, None)
    standard = np.random.default_rng(2).normal(size=(1, 2, 64, 64))
    decibels = standard * np.array([4.0, 5.0])[:, None, None] + np.array([-12.0, -18.0])[:, None, None]
    choices = band_choices(bundle, members)
    list(score_pixels(of_array(decibels, choices), members))
    for array, given in (
        (standard, PixelOptions()),
        (10 ** (decibels / 10), PixelOptions()),
        (1000 * standard, PixelOptions(scaled=True)),
    ):
        with pytest.raises(LandslideMapError) as caught:
            list(score_pixels(of_array(array, choices), members, given))
        assert caught.value.code == "E181"


@pytest.mark.parametrize(
    ("text", "agrees"),
    [
        ("data: {channels: [13, 14]}\nmodel: {net: {in_channels: 2, _target_: smp.PSPNet}}\n", True),
        ("model.net.in_channels: 2\n", True),
        ("net: !!python/object:torch.nn.Conv2d {}\n", True),
        ("data: {channels: [0, 1]}\n", False),
        ("model: {net: {in_channels: 9}}\n", False),
        ("model.net.in_channels: 11\n", False),
        ("model: {net: {_target_: segmentation_models_pytorch.FPN}}\n", False),
    ],
)
def test_what_hparams_say_of_a_run_must_agree(tmp_path: Path, text: str, agrees: bool) -> None:
    run = tmp_path / "sentinel2_ensemble" / "62"
    write_checkpoint(run / "checkpoints/epoch_001.ckpt", "pspnet", "s2", 62)
    (run / "tensorboard/version_0").mkdir(parents=True)
    (run / "tensorboard/version_0/hparams.yaml").write_text(text)
    if agrees:
        import_segmentation(run.parent, tmp_path / "bundle", SCALED)
        assert (tmp_path / "bundle" / "bundle.json").is_file()
    else:
        refused("E521", run.parent, tmp_path / "bundle", SCALED)
        assert not (tmp_path / "bundle").exists()
