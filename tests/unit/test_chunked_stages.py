"""Early stages that see some images after others, against timm's own, which see all at once."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from landslide_map.models.networks.speedups.chunked_stages import part_early_stages

SMALL = {"in_chans": 3, "num_classes": 2}


@pytest.mark.parametrize("count", [1, 4, 6])
def test_the_same_is_said_from_smaller_maps(count: int) -> None:
    torch.manual_seed(2)
    encoder: Any = timm.create_model("maxvit_rmlp_pico_rw_256", **SMALL, img_size=64).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    keys = list(encoder.state_dict())
    seen: list[int] = []
    encoder.stages[0].blocks[0].register_forward_pre_hook(lambda _, maps: seen.append(len(maps[0])))
    images = torch.randn(count, 3, 64, 64)
    with torch.inference_mode():
        expected = encoder(images)
        seen.clear()
        assert part_early_stages(encoder)
        found = encoder(images)
    assert list(encoder.state_dict()) == keys
    assert sum(seen) == count
    assert max(seen) <= (count + 3) // 4
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["caformer_s18", "test_vit.r160_in1k"])
def test_other_encoders_are_left_as_they_are(name: str) -> None:
    encoder: Any = timm.create_model(name, **SMALL)
    before = [set(vars(module)) for module in encoder.modules()]
    assert not part_early_stages(encoder)
    assert [set(vars(module)) for module in encoder.modules()] == before
