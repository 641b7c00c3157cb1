"""Matching of variants by parameters, multiply-adds or support."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from support import Compose

from upnet.config import build
from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds, parameters
from upnet.study.matching import UnmatchedError, match_variant, taps_by_location
from upnet.study.matching.size import _bracket

EDSR = ("model=edsr", "model.encoder.width=32", "model.block.blocks=4", "model.tail.project_in_upsampler=true")
TAIL = ("model=edsr", "model.encoder.width=16", "model.block.blocks=2", "model.tail.project_in_upsampler=true")


@pytest.fixture
def variant(compose: Compose):
    """A function that builds a variant with changes, and its config: variant(*TAIL, "model/upsampler=nearest")."""

    def composed(*overrides: str):
        config = compose(*overrides)

        def make(changes: Mapping[str, Any]) -> EncoderDecoder:
            other = config.copy()
            for path, value in changes.items():
                OmegaConf.update(other, path, value)
            return build(other.model)

        return make, OmegaConf.to_container(config.model, resolve=True)

    return composed


def support(net: EncoderDecoder) -> list[int | None]:
    return [count for taps in taps_by_location(net).values() for count in taps]


@pytest.mark.covering
@pytest.mark.parametrize(("mode", "count"), [("params", parameters), ("macs", multiply_adds)])
@pytest.mark.parametrize("operator", ["resize_conv", "nearest", "carafe"])
def test_size_is_matched_within_1_percent(variant, mode, count, operator: str) -> None:
    reference = variant(*EDSR)[0]({})
    make, model = variant(*EDSR, f"model/upsampler={operator}")
    changes = match_variant(mode, make, model, reference)
    assert count(make(changes)) == pytest.approx(count(reference), rel=0.01)
    assert set(changes) <= {"model.encoder.width", "model.block.blocks"}


def test_unet_without_a_number_of_blocks_is_matched_by_its_width_growth(variant) -> None:
    small = ("model.encoder.width=8",)
    reference = variant(*small, "model/upsampler=transposed")[0]({})
    make, model = variant(*small, "model/upsampler=bilinear")
    changes = match_variant("params", make, model, reference)
    assert parameters(make(changes)) == pytest.approx(parameters(reference), rel=0.01)
    assert "model.encoder.growth" in changes


@pytest.mark.parametrize("mode", ["none", "params", "macs", "support"])
def test_matching_variant_is_not_changed(variant, mode) -> None:
    make, model = variant(*TAIL, "model/upsampler=transposed")
    assert match_variant(mode, make, model, variant(*TAIL)[0]({})) == {}


def test_unmatchable_size_is_rejected_with_the_nearest_sizes(variant) -> None:
    reference = variant(*TAIL)[0]({})
    make, model = variant("model=srcnn")
    with pytest.raises(UnmatchedError, match=r"parameters can't be changed .* the config has no model.encoder.width"):
        match_variant("params", make, model, reference)
    narrow = ("model=edsr", "model/block=conv", "model.encoder.width=3")
    make, model = variant(*narrow, "model/upsampler=nearest")
    with pytest.raises(UnmatchedError, match=r"within 1% of .* nearest possible are \d+ \([+-]\d+\.\d%\) with .*width"):
        match_variant("params", make, model, variant(*narrow)[0]({}))


@pytest.mark.covering
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("scale", [2, 3])
def test_pixel_shuffle_with_kernel_k_matches_transposed_with_kernel_k_times_scale(
    variant, kernel: int, scale: int
) -> None:
    shared = (*TAIL, f"scale={scale}")
    reference = variant(*shared, f"model.upsampler.kernel_size={kernel}")[0]({})
    for operator in ("transposed", "decomposed_transposed", "resize_conv"):
        make, model = variant(*shared, f"model/upsampler={operator}")
        changes = match_variant("support", make, model, reference)
        assert support(make(changes)) == support(reference) == [kernel**2]
        if operator == "resize_conv":
            # After nearest upsampling, all s phases read the first and the last of k input pixels.
            assert changes == {"model.upsampler.kernel_size": (kernel - 1) * scale + 1}
        else:
            assert changes.get("model.upsampler.kernel_size", 3 * scale) == kernel * scale


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        ("bilinear", "Bilinear has 16 .* reference 9, and it has no kernel size to change"),
        ("carafe", "no k_up gives CARAFE the reference's 9 .* nearest possible is 25, with k_up=3"),
        ("dct", "DCT has all LR taps .* no kernel size to change"),
    ],
)
def test_unmatchable_support_is_rejected_with_the_nearest_support(variant, operator: str, message: str) -> None:
    make, model = variant(*TAIL, f"model/upsampler={operator}")
    with pytest.raises(UnmatchedError, match=message):
        match_variant("support", make, model, variant(*TAIL)[0]({}))


def test_each_upsampler_is_matched_to_the_one_at_the_same_level(variant, compose: Compose) -> None:
    mixed = OmegaConf.to_container(compose().model, resolve=True)
    assert isinstance(mixed, dict)
    upsamplers = [{"_target_": "upnet.upsample.Transposed", "_partial_": True, "kernel_size": size} for size in (6, 2)]
    reference = build({**mixed, "upsampler": upsamplers})
    shuffled = {"_target_": "upnet.upsample.PixelShuffle", "_partial_": True, "kernel_size": 3}
    model = {**mixed, "upsampler": [dict(shuffled), dict(shuffled)]}

    def make(changes: Mapping[str, Any]) -> EncoderDecoder:
        config = OmegaConf.create({"model": model})
        for path, value in changes.items():
            OmegaConf.update(config, path, value)
        return build(config.model)

    assert support(reference) == [9, 1]
    changes = match_variant("support", make, model, reference)
    assert changes == {"model.upsampler[1].kernel_size": 1}
    assert support(make(changes)) == [9, 1]


@given(st.integers(1, 10**6), st.integers(1, 300), st.integers(1, 40), st.integers(0, 3))
def test_bracket_contains_costs_on_both_sides_of_the_target(target: int, start: int, slope: int, gap: int) -> None:
    def cost(number: int) -> int | None:
        return None if gap and number % (gap + 1) else slope * number * number

    costs = [value for number in _bracket(cost, target, start) if (value := cost(number)) is not None]
    assert costs
    assert max(costs) >= target
    below = [value for number in range(1, 2000) if (value := cost(number)) is not None and value <= target]
    assert not below or max(below) in costs or max(costs) == target or gap
