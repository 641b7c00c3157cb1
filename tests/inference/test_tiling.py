"""Tiled upscaling equals untiled upscaling for every preset, operator and scale."""

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
ARCHITECTURES = {
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
    """A tiny network."""
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


def untiled(net: EncoderDecoder, lr: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(lr)


def same(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.rotating(per="operator")
@pytest.mark.parametrize(("preset", "operator"), admitted())
def test_tiled_output_equals_untiled_for_every_preset_and_operator(preset: str, operator: str) -> None:
    for scale, tile in ((2, 19), (3, 17), (4, 14)):
        net = built(preset, scale, operator=yaml_of(operator))
        lr = torch.rand(1, net.channels, 43, 31)
        unbounded = [part for part in net.modules() if isinstance(part, Upsampler) and part.receptive_radius is None]
        if unbounded:
            with pytest.raises(UserError, match=type(unbounded[0]).__name__):
                in_tiles(net, lr, tile)
        else:
            same(in_tiles(net, lr, tile), untiled(net, lr))


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_tiled_output_equals_untiled_for_srcnn(scale: int) -> None:
    net = built("srcnn", scale)
    lr = torch.rand(1, 1, 41, 27)
    same(in_tiles(net, lr, 10), untiled(net, lr))


@pytest.mark.rotating(per="architecture")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tiled_output_equals_untiled_for_every_architecture(architecture: str, scale: int) -> None:
    net = built("unet", scale, *ARCHITECTURES[architecture])
    lr = torch.rand(1, net.channels, 57, 39)
    same(in_tiles(net, lr, 20), untiled(net, lr))


@pytest.mark.parametrize("scale", [2, 3])
def test_tiled_output_equals_untiled_with_different_operators_per_place(scale: int) -> None:
    places = [yaml_of(operator) for operator in ("max_unpool", "bicubic", "resize_conv")]
    net = built("unet", scale, "model.encoder.depth=2", "model.input=lr", "model.block.layers=1", operator=places)
    lr = torch.rand(1, 3, 71, 50)
    same(in_tiles(net, lr, 24), untiled(net, lr))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (9, 2), (40, 33)])
@pytest.mark.parametrize("tile", [5, 15, 200])
def test_tiled_output_equals_untiled_for_any_tile_and_image_size(size: tuple[int, int], tile: int) -> None:
    net = built("segnet", 3)
    lr = torch.rand(1, 3, *size)
    same(in_tiles(net, lr, tile), untiled(net, lr))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiled_output_equals_untiled_if_the_interpolated_image_exceeds_memory(
    scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 0)
    net = built("unet", scale, "model.encoder.depth=2")
    lr = torch.rand(1, 3, 57, 41)
    same(in_tiles(net, lr, 12), untiled(net, lr))


@pytest.mark.parametrize("operator", ["max_unpool", "transposed"])
@pytest.mark.parametrize("scale", [2, 3])
def test_max_pooling_ties_are_resolved_alike_in_tiles_on_a_cpu(operator: str, scale: int) -> None:
    net = built("segnet", scale, operator=yaml_of(operator))
    flat = torch.rand(1, 3, 7, 6).repeat_interleave(10, 2).repeat_interleave(10, 3)
    same(in_tiles(net, flat, 23), untiled(net, flat))


def test_tiled_chroma_of_a_luma_network_equals_untiled() -> None:
    net = built("espcn", 3)
    image = torch.rand(3, 50, 37)
    same(upscale_tensor(net, image, tile=12), upscale_tensor(net, image, tile="none"))


EXACT = [(preset, ()) for preset in PRESETS] + [("unet", ARCHITECTURES[architecture]) for architecture in ARCHITECTURES]


@pytest.mark.rotating(per="overrides")
@pytest.mark.parametrize(("preset", "overrides"), EXACT)
@pytest.mark.parametrize("scale", [2, 3])
def test_tile_margin_is_exactly_the_receptive_field(preset: str, overrides: tuple[str, ...], scale: int) -> None:
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
        image = lr.clone()
        if changed is not None:
            image[..., changed] += 0.05
        return untiled(net, image)[..., scale * kept.start : scale * kept.stop]

    def depends_on(pixel: int) -> bool:
        return not torch.equal(tile(pixel), calm)

    calm, left, right = tile(None), kept.start - field.before, kept.stop - 1 + field.after
    assert not depends_on(left - 1)
    assert not depends_on(right + 1)
    # The radius is the maximum over the phases of the operator; other phases may reach one pixel less.
    assert depends_on(left) or depends_on(left + 1)
    assert depends_on(right) or depends_on(right - 1)


@pytest.mark.parametrize("tile", [0, -4, True, 2.5, "some", None])
def test_invalid_tiles_are_rejected_with_the_allowed_values(tile: Any) -> None:
    with pytest.raises(ValueError, match=r"tile=.*: is not a tile size\. Allowed: auto, none, or the side of a tile"):
        upscale_tensor(built("espcn", 2), torch.rand(1, 8, 8), tile)


class UndeclaredUpsampler(Upsampler):
    """Doubles every pixel, and declares no bound of its receptive field."""

    @property
    def receptive_radius(self) -> None:
        return None

    def expand(self, x: torch.Tensor, site: Site) -> torch.Tensor:
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


class UndeclaredBlock(Block):
    """The identity, without a declared receptive radius."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class UndeclaredEncoder(Encoder):
    """The identity, without declared receptive fields."""

    widths = (3,)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[Site]]:
        return x, []


FLAT = partial(MaxPoolEncoder, width=3, depth=0)


def network(encoder: Any = None, block: Any = ConvBlock, upsampler: Any = Nearest) -> EncoderDecoder:
    return EncoderDecoder(
        2, 3, encoder or partial(MaxPoolEncoder, width=3, depth=1), block, upsampler, input="lr"
    ).eval()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"upsampler": [UndeclaredUpsampler, Nearest]}, r"Declare UndeclaredUpsampler\.receptive_radius"),
        ({"upsampler": [Nearest, UndeclaredUpsampler]}, r"Declare UndeclaredUpsampler\.receptive_radius"),
        (
            {"block": UndeclaredBlock, "encoder": FLAT},
            r"Declare UndeclaredBlock\.receptive_radius",
        ),
        ({"encoder": lambda channels, block: UndeclaredEncoder()}, r"Declare UndeclaredEncoder\.receptive_fields"),
    ],
)
def test_a_component_without_a_receptive_field_is_named_and_disables_tiling(
    parts: dict[str, Any], message: str
) -> None:
    net = network(**parts)
    lr = torch.rand(3, 8, 9)
    with pytest.raises(ValueError, match=message):
        upscale_tensor(net, lr, tile=4)
    assert torch.equal(upscale_tensor(net, lr, tile="auto"), upscale_tensor(net, lr, tile="none"))
