"""Pictures of every kind come back larger, and of their kind."""

import copy
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support import Compose

import upnet
from upnet.config import build
from upnet.ensemble import x8
from upnet.memory import OF_TRAINING
from upnet.models.enlarge import enlarge
from upnet.upscaler import Upscaler


@pytest.fixture(scope="module", params=["model=unet", "model=espcn"])
def upscaler(request: pytest.FixtureRequest, compose: Compose) -> Upscaler:
    torch.manual_seed(0)
    width = ["model.encoder.width=4"] if request.param == "model=unet" else []
    net = build(compose(request.param, "model.residual=bicubic", *width).model)
    return Upscaler(net)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_picture_of_any_mode_comes_back_twice_as_large(upscaler: Upscaler, mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(random(9, 13).astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(random(9, 13, 3)).convert(mode)
    larger = upscaler.upscale(picture)
    assert larger.size == (26, 18)
    expected = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert larger.mode == expected


def test_arrays_tensors_and_pictures_get_the_same_pixels(upscaler: Upscaler) -> None:
    array = random(8, 11, 3)
    larger = upscaler.upscale(array)
    assert larger.dtype == np.uint8
    assert np.array_equal(larger, np.asarray(upscaler.upscale(Image.fromarray(array))))
    planes = torch.from_numpy(array).movedim(-1, 0)
    assert torch.equal(upscaler.upscale(planes), torch.from_numpy(larger).movedim(-1, 0))
    floating = upscaler.upscale(array.astype(np.float32) / 255)
    assert np.abs(floating * 255 - larger).max() <= 0.5 + 1e-3
    assert torch.equal(upscaler.upscale(planes[None])[0], upscaler.upscale(planes))


def test_sixteen_bits_are_kept(upscaler: Upscaler) -> None:
    deep = (random(6, 7, 3).astype(np.uint16) << 8) + random(6, 7, 3)
    larger = upscaler.upscale(deep)
    exact = enlarge(upscaler.net, torch.from_numpy(deep.astype(np.float32) / 65535).movedim(-1, 0))
    assert larger.dtype == np.uint16
    expected = exact.clamp(0, 1).movedim(0, -1).numpy() * 65535
    assert np.abs(larger.astype(float) - expected).max() <= 1


def test_alpha_is_enlarged_by_bicubic(upscaler: Upscaler) -> None:
    from upnet.imresize import imresize

    picture = random(8, 9, 4)
    larger = upscaler.upscale(picture)
    expected = imresize(picture[..., 3].astype(np.float64) / 255, 2).clip(0, 1) * 255
    assert np.abs(larger[..., 3] - expected).max() <= 0.5 + 1e-3
    assert np.array_equal(larger[..., :3], upscaler.upscale(picture[..., :3]))


@pytest.mark.parametrize("image", [np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4), np.int64), torch.zeros(2, 4, 4)])
def test_what_is_no_picture_is_refused(upscaler: Upscaler, image) -> None:
    with pytest.raises(ValueError, match="upscale:"):
        upscaler.upscale(image)


def test_a_network_on_luma_leaves_colour_to_bicubic(compose: Compose) -> None:
    from upnet.imresize import imresize
    from upnet.metrics import ycbcr

    net = build(compose("model=espcn").model)
    rgb = torch.rand(3, 9, 8)
    colour = ycbcr(enlarge(net, rgb))[1:]
    torch.testing.assert_close(colour, imresize(ycbcr(rgb)[1:], 2).float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("ensemble", ["none", "x8"])
def test_the_smallest_and_thinnest_pictures_are_enlarged(
    upscaler: Upscaler, size: tuple[int, int], ensemble: Literal["none", "x8"]
) -> None:
    larger = Upscaler(upscaler.net, ensemble=ensemble).upscale(random(*size, 4))
    assert larger.shape == (2 * size[0], 2 * size[1], 4)


def test_the_ensemble_is_that_of_the_network(upscaler: Upscaler) -> None:
    picture = torch.rand(3, 7, 10)
    expected = x8(lambda one: enlarge(upscaler.net, one), picture).clamp(0, 1)
    torch.testing.assert_close(Upscaler(upscaler.net, ensemble="x8").upscale(picture), expected, atol=1e-6, rtol=0)
    assert not torch.allclose(upscaler.upscale(picture), expected, atol=1e-4)


def test_a_turned_picture_gives_the_turned_result_with_the_ensemble(upscaler: Upscaler) -> None:
    upscale = Upscaler(upscaler.net, ensemble="x8").upscale
    picture = torch.rand(3, 9, 6)
    torch.testing.assert_close(upscale(picture.rot90(1, (1, 2))), upscale(picture).rot90(1, (1, 2)), atol=1e-5, rtol=0)


def test_tiles_give_what_the_whole_gives(upscaler: Upscaler) -> None:
    picture = random(40, 50, 3)
    whole, tiled = (Upscaler(upscaler.net, tile).upscale(picture) for tile in ("none", 16))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_an_unknown_ensemble_is_refused(upscaler: Upscaler) -> None:
    with pytest.raises(ValueError, match="ensemble must be one of none, x8; got 'x4'"):
        Upscaler(upscaler.net, ensemble="x4")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_pillows_comes_back_upright_with_its_exif_and_profile(
    upscaler: Upscaler, tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    Image.fromarray(random(6, 9, 3)).save(tmp_path / "a.png", exif=exif, icc_profile=b"profile")
    with Image.open(tmp_path / "a.png") as image:
        larger = upscaler.upscale(image)
        expected = upscaler.upscale(np.asarray(ImageOps.exif_transpose(image)))
    assert np.array_equal(np.asarray(larger), expected)
    assert dict(larger.getexif()) == {0x0112: 1, 0x010F: "Maker"}
    assert larger.info["icc_profile"] == b"profile"


def test_grey_stays_grey_and_keeps_its_16_bits(upscaler: Upscaler) -> None:
    deep = random(6, 7).astype(np.uint16) * 257
    larger = upscaler.upscale(Image.fromarray(deep))
    assert larger.mode == "I;16"
    assert np.array_equal(np.asarray(larger), upscaler.upscale(deep))


def test_a_transparent_colour_of_pillows_becomes_alpha(upscaler: Upscaler) -> None:
    picture = Image.fromarray(random(6, 7, 3))
    picture.info["transparency"] = picture.getpixel((2, 3))
    alpha = np.full((6, 7), 255, np.uint8)
    alpha[3, 2] = 0
    expected = upscaler.upscale(np.dstack((np.asarray(picture), alpha)))
    assert np.array_equal(np.asarray(upscaler.upscale(picture)), expected)


def test_an_output_that_is_not_finite_is_refused(upscaler: Upscaler) -> None:
    broken = copy.deepcopy(upscaler.net)
    with torch.no_grad():
        for weight in broken.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN or infinity"):
        Upscaler(broken).upscale(random(4, 4, 3))


def test_few_kernels_are_kept_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    with pytest.raises(ValueError, match="there is no checkpoint at"):
        upnet.load("missing.ckpt")
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == str(OF_TRAINING)
