"""Tiles come out as the whole picture does: every preset, every operator, every scale."""

from functools import cache, partial
from typing import Any

import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from support import CONFIGS

from upnet.blocks import Block, ConvBlock
from upnet.config import build
from upnet.encoders import Encoder, MaxPoolEncoder
from upnet.inference.tensor import upscale_tensor
from upnet.inference.tile_grid import round_up
from upnet.inference.tiling import upscale_in_tiles
from upnet.models import EncoderDecoder
from upnet.site import Site
from upnet.upsample import Nearest, Upsampler
from upnet.utils import free_memory
from upnet.utils.errors import UserError

PRESETS = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
OPERATORS = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))
SMALL = {
    "unet": ("model.encoder.width=3", "model.encoder.depth=1"),
    "segnet": ("model.encoder.width=3", "model.encoder.depth=1"),
    "edsr": ("model.encoder.width=3", "model.block.blocks=2"),
}
KINDS = {
    "depth 2": ("model.encoder.depth=2",),
    "depth 3": ("model.encoder.depth=3", "model.block.layers=1"),
    "a tail on top of a pyramid": ("model.encoder.depth=2", "model.input=lr", "model.block.layers=1"),
    "no skips": ("model.skip=false",),
    "luma": ("model.channels=1",),
    "strided": ("model/encoder=strided_conv",),
    "strided, from lr": ("model/encoder=strided_conv", "model.input=lr"),
    "resnet": ("model/encoder=resnet",),
    "residual blocks": ("model/block=residual",),
    "a stem and a wide tail": ("model.encoder.stem_kernel=5", "model.tail.kernel_size=7"),
    "bilinear residual": ("model.residual=bilinear",),
}


@cache
def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra_compose("train", overrides=list(overrides))


def built(preset: str, scale: int, *overrides: str, operator: Any = None) -> EncoderDecoder:
    """A tiny network with weights large enough to see far."""
    torch.manual_seed(0)
    model = config(f"model={preset}", f"scale={scale}", *SMALL.get(preset, ()), *overrides).model.copy()
    if operator is not None:
        model.upsampler = operator
    net = build(model).eval()
    assert isinstance(net, EncoderDecoder)
    return net


def yaml_of(operator: str) -> Any:
    return OmegaConf.load(CONFIGS / f"model/upsampler/{operator}.yaml")


def admitted() -> list[tuple[str, str]]:
    """Where max-unpooling has no partner it is refused, and in SRCNN nothing grows."""
    return [
        (preset, operator)
        for preset in PRESETS
        for operator in OPERATORS
        if preset != "srcnn" and (operator != "max_unpool" or preset in ("unet", "segnet"))
    ]


def in_tiles(net: EncoderDecoder, lr: torch.Tensor, tile: int) -> torch.Tensor:
    with torch.no_grad():
        return upscale_in_tiles(net, lr, tile)


def whole(net: EncoderDecoder, lr: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(lr)


def same(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.rotating(per="operator")
@pytest.mark.parametrize(("preset", "operator"), admitted())
def test_tiles_equal_the_whole_for_every_preset_and_operator(preset: str, operator: str) -> None:
    for scale, tile in ((2, 19), (3, 17), (4, 14)):
        net = built(preset, scale, operator=yaml_of(operator))
        lr = torch.rand(1, net.channels, 43, 31)
        unbounded = [part for part in net.modules() if isinstance(part, Upsampler) and part.receptive_radius is None]
        if unbounded:
            with pytest.raises(UserError, match=type(unbounded[0]).__name__):
                in_tiles(net, lr, tile)
        else:
            same(in_tiles(net, lr, tile), whole(net, lr))


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_tiles_equal_the_whole_where_nothing_grows(scale: int) -> None:
    net = built("srcnn", scale)
    lr = torch.rand(1, 1, 41, 27)
    same(in_tiles(net, lr, 10), whole(net, lr))


@pytest.mark.rotating(per="kind")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_tiles_equal_the_whole_for_every_kind_of_network(kind: str, scale: int) -> None:
    net = built("unet", scale, *KINDS[kind])
    lr = torch.rand(1, net.channels, 57, 39)
    same(in_tiles(net, lr, 20), whole(net, lr))


@pytest.mark.parametrize("scale", [2, 3])
def test_tiles_equal_the_whole_with_an_operator_of_its_own_at_every_place(scale: int) -> None:
    places = [yaml_of(operator) for operator in ("max_unpool", "bicubic", "resize_conv")]
    net = built("unet", scale, "model.encoder.depth=2", "model.input=lr", "model.block.layers=1", operator=places)
    lr = torch.rand(1, 3, 71, 50)
    same(in_tiles(net, lr, 24), whole(net, lr))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (9, 2), (40, 33)])
@pytest.mark.parametrize("tile", [5, 15, 200])
def test_any_tile_equals_the_whole_at_any_size(size: tuple[int, int], tile: int) -> None:
    net = built("segnet", 3)
    lr = torch.rand(1, 3, *size)
    same(in_tiles(net, lr, tile), whole(net, lr))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_equal_the_whole_where_memory_does_not_hold_the_interpolated_picture(
    scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 0)
    net = built("unet", scale, "model.encoder.depth=2")
    lr = torch.rand(1, 3, 57, 41)
    same(in_tiles(net, lr, 12), whole(net, lr))


@pytest.mark.parametrize("operator", ["max_unpool", "transposed"])
@pytest.mark.parametrize("scale", [2, 3])
def test_on_a_cpu_pools_choose_alike_in_tiles_and_in_the_whole_also_where_the_picture_is_flat(
    operator: str, scale: int
) -> None:
    net = built("segnet", scale, operator=yaml_of(operator))
    flat = torch.rand(1, 3, 7, 6).repeat_interleave(10, 2).repeat_interleave(10, 3)
    same(in_tiles(net, flat, 23), whole(net, flat))


def test_colour_beside_a_network_on_luma_comes_out_as_in_the_whole_picture() -> None:
    net = built("espcn", 3)
    picture = torch.rand(3, 50, 37)
    same(upscale_tensor(net, picture, tile=12), upscale_tensor(net, picture, tile="none"))


EXACT = [(preset, ()) for preset in PRESETS] + [("unet", KINDS[kind]) for kind in KINDS]


@pytest.mark.rotating(per="overrides")
@pytest.mark.parametrize(("preset", "overrides"), EXACT)
@pytest.mark.parametrize("scale", [2, 3])
def test_a_tile_looks_as_far_as_its_margin_and_no_farther(preset: str, overrides: tuple[str, ...], scale: int) -> None:
    net = built(preset, scale, *overrides, operator=None if preset == "srcnn" else yaml_of("transposed")).double()
    for parameter in net.parameters():
        parameter.data.abs_() if parameter.any() else parameter.data.fill_(0.1)
    field = net.receptive_field
    first = round_up(field.before + 2, field)
    kept = range(first, first + field.period)
    width = kept.stop + field.after + 2
    # All positive, so that nothing is cut off at zero, and rising to both sides, so that maxima lie far out.
    slopes = (torch.arange(width, dtype=torch.float64) - (kept.start + kept.stop - 1) / 2).abs()
    lr = 1 + 0.1 * slopes.expand(1, net.channels, 5, -1)

    def tile(changed: int | None) -> torch.Tensor:
        picture = lr.clone()
        if changed is not None:
            picture[..., changed] += 0.05
        return whole(net, picture)[..., scale * kept.start : scale * kept.stop]

    def looks_at(pixel: int) -> bool:
        return not torch.equal(tile(pixel), calm)

    calm, left, right = tile(None), kept.start - field.before, kept.stop - 1 + field.after
    assert not looks_at(left - 1)
    assert not looks_at(right + 1)
    # An operator's reach is that of its farthest phase: where the border falls on another, it is a pixel less.
    assert looks_at(left) or looks_at(left + 1)
    assert looks_at(right) or looks_at(right - 1)


@pytest.mark.parametrize("tile", [0, -4, True, 2.5, "some", None])
def test_other_tiles_are_refused_with_what_is_allowed(tile: Any) -> None:
    with pytest.raises(ValueError, match=r"tile=.*: is not a tile size\. Allowed: auto, none, or the side of a tile"):
        upscale_tensor(built("espcn", 2), torch.rand(1, 8, 8), tile)


class Silent(Upsampler):
    """Doubles every pixel, and declares no bound of its receptive field."""

    @property
    def receptive_radius(self) -> None:
        return None

    def expand(self, x: torch.Tensor, site: Site) -> torch.Tensor:
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


class SilentBlock(Block):
    """Nothing, and it doesn't say so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class SilentEncoder(Encoder):
    """The picture itself, and it doesn't say so either."""

    widths = (3,)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[Site]]:
        return x, []


FLAT = partial(MaxPoolEncoder, width=3, depth=0)


def network(encoder: Any = None, block: Any = ConvBlock, upsampler: Any = Nearest) -> EncoderDecoder:
    return EncoderDecoder(
        2, 3, encoder or partial(MaxPoolEncoder, width=3, depth=1), block, upsampler, input="lr"
    ).eval()


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"upsampler": [Silent, Nearest]}, r"Declare Silent\.receptive_radius"),
        ({"upsampler": [Nearest, Silent]}, r"Declare Silent\.receptive_radius"),
        (
            {"block": SilentBlock, "encoder": FLAT},
            r"Declare SilentBlock\.receptive_radius",
        ),
        ({"encoder": lambda channels, block: SilentEncoder()}, r"Declare SilentEncoder\.receptive_fields"),
    ],
)
def test_a_part_that_does_not_say_how_far_it_looks_is_named_and_leaves_the_picture_whole(
    parts: dict[str, Any], told: str
) -> None:
    net = network(**parts)
    lr = torch.rand(3, 8, 9)
    with pytest.raises(ValueError, match=told):
        upscale_tensor(net, lr, tile=4)
    assert torch.equal(upscale_tensor(net, lr, tile="auto"), upscale_tensor(net, lr, tile="none"))
