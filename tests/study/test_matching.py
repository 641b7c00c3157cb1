"""What makes operators comparable: by parameters, by multiply-adds, by support."""

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
    """How to build a variant with changes, and its config: variant(*TAIL, "model/upsampler=nearest")."""

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
def test_size_is_matched_within_a_hundredth(variant, mode, count, operator: str) -> None:
    reference = variant(*EDSR)[0]({})
    make, model = variant(*EDSR, f"model/upsampler={operator}")
    changes = match_variant(mode, make, model, reference)
    assert count(make(changes)) == pytest.approx(count(reference), rel=0.01)
    assert set(changes) <= {"model.encoder.width", "model.block.blocks"}


def test_a_unet_without_blocks_to_count_is_matched_by_the_growth_of_its_width(variant) -> None:
    small = ("model.encoder.width=8",)
    reference = variant(*small, "model/upsampler=transposed")[0]({})
    make, model = variant(*small, "model/upsampler=bilinear")
    changes = match_variant("params", make, model, reference)
    assert parameters(make(changes)) == pytest.approx(parameters(reference), rel=0.01)
    assert "model.encoder.growth" in changes


@pytest.mark.parametrize("mode", ["none", "params", "macs", "support"])
def test_what_agrees_already_is_left_as_it_is(variant, mode) -> None:
    make, model = variant(*TAIL, "model/upsampler=transposed")
    assert match_variant(mode, make, model, variant(*TAIL)[0]({})) == {}


def test_what_cannot_be_matched_in_size_is_refused_with_the_nearest(variant) -> None:
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
def test_a_sub_pixel_convolution_of_k_has_the_support_of_a_transposed_one_of_k_times_the_scale(
    variant, kernel: int, scale: int
) -> None:
    shared = (*TAIL, f"scale={scale}")
    reference = variant(*shared, f"model.upsampler.kernel_size={kernel}")[0]({})
    for operator in ("transposed", "decomposed_transposed", "resize_conv"):
        make, model = variant(*shared, f"model/upsampler={operator}")
        changes = match_variant("support", make, model, reference)
        assert support(make(changes)) == support(reference) == [kernel**2]
        if operator == "resize_conv":
            # Behind nearest the first and the last of k input pixels are reached by all s phases.
            assert changes == {"model.upsampler.kernel_size": (kernel - 1) * scale + 1}
        else:
            assert changes.get("model.upsampler.kernel_size", 3 * scale) == kernel * scale


@pytest.mark.parametrize(
    ("operator", "told"),
    [
        ("bilinear", "Bilinear has 16 .* reference 9, and it has no kernel size to change"),
        ("carafe", "no k_up gives CARAFE the reference's 9 .* nearest possible is 25, with k_up=3"),
        ("dct", "DCT has all LR taps .* no kernel size to change"),
    ],
)
def test_what_cannot_be_matched_in_support_is_refused_with_the_nearest(variant, operator: str, told: str) -> None:
    make, model = variant(*TAIL, f"model/upsampler={operator}")
    with pytest.raises(UnmatchedError, match=told):
        match_variant("support", make, model, variant(*TAIL)[0]({}))


def test_every_place_is_matched_to_its_own(variant, compose: Compose) -> None:
    mixed = OmegaConf.to_container(compose().model, resolve=True)
    assert isinstance(mixed, dict)
    own = [{"_target_": "upnet.upsample.Transposed", "_partial_": True, "kernel_size": size} for size in (6, 2)]
    reference = build({**mixed, "upsampler": own})
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
def test_the_neighbours_of_a_target_lie_on_both_sides_of_it(target: int, start: int, slope: int, gap: int) -> None:
    def cost(number: int) -> int | None:
        return None if gap and number % (gap + 1) else slope * number * number

    found = [made for number in _bracket(cost, target, start) if (made := cost(number)) is not None]
    assert found
    assert max(found) >= target
    below = [made for number in range(1, 2000) if (made := cost(number)) is not None and made <= target]
    assert not below or max(below) in found or max(found) == target or gap
