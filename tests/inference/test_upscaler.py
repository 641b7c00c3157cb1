"""Pictures of every kind come back larger, and of their kind."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support import ROOT, Compose

import upnet
from upnet.config import build
from upnet.inference.tensor import self_ensemble, upscale_tensor
from upnet.inference.upscaler import Upscaler


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
    exact = upscale_tensor(upscaler.net, torch.from_numpy(deep.astype(np.float32) / 65535).movedim(-1, 0))
    assert larger.dtype == np.uint16
    expected = exact.clamp(0, 1).movedim(0, -1).numpy() * 65535
    assert np.abs(larger.astype(float) - expected).max() <= 1


def test_alpha_is_enlarged_by_bicubic(upscaler: Upscaler) -> None:
    from upnet.imaging.imresize import imresize

    picture = random(8, 9, 4)
    picture[..., 3] |= 16  # below, the colours of neighbours count as well
    larger = upscaler.upscale(picture)
    expected = imresize(picture[..., 3].astype(np.float64) / 255, 2).clip(0, 1) * 255
    assert np.abs(larger[..., 3] - expected).max() <= 0.5 + 1e-3
    assert np.array_equal(larger[..., :3], upscaler.upscale(picture[..., :3]))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((4, 4, 5), np.uint8), r"image\.shape=\(4, 4, 5\): .*\(H, W\)"),
        (np.zeros((3, 4, 5), np.uint8), "Move the channels to the end by np.moveaxis"),
        (np.zeros((2, 4, 4, 3), np.uint8), "Pass the images of a batch one by one"),
        (np.zeros(4, np.uint8), r"image\.shape=\(4,\)"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.zeros((4, 4), np.int64), r"image\.dtype=int64: .*image\.astype\(np\.uint8\)"),
        (np.zeros((4, 4), bool), "dtype=bool"),
        (np.zeros((4, 4), complex), "dtype=complex128"),
        (np.zeros((4, 4), object), "dtype=object"),
        (np.full((4, 4, 3), 200.0), r"must be in \[0, 1\], .* in \[200, 200\]\. Divide them by 255"),
        (np.full((4, 4, 3), 40000.0, np.float32), r"in \[40000, 40000\]\. Divide them by 65535"),
        (np.full((4, 4, 3), -0.5), r"values in \[-1, 1\] by \(image \+ 1\) / 2"),
        (np.full((4, 4, 3), 1.2), r"in \[1\.2, 1\.2\]\. Scale them to \[0, 1\], or clip"),
        (np.full((4, 4, 3), np.nan), r"NaN or infinity\. Replace them first"),
        (np.full((4, 4, 3), np.inf, np.float16), r"NaN or infinity\. Replace them first"),
        (np.ma.masked_equal(np.zeros((4, 4), np.uint8), 0), r"image\.filled\(0\)"),
        (torch.zeros(2, 4, 4), r"image\.shape=\(2, 4, 4\)"),
        (torch.zeros(4, 4), r"Add the channel by image\[None\]"),
        (torch.zeros(5, 6, 3), r"image\.movedim\(-1, -3\)"),
        (torch.zeros(0, 3, 4, 4), "has no pixels"),
        (torch.zeros(3, 0, 4), "has no pixels"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), r"dtype=torch\.int32: .*image\.to\(torch\.uint8\)"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), r"dtype=torch\.bool"),
        (torch.full((3, 4, 4), 255.0), "Divide them by 255"),
        (torch.full((1, 3, 4, 4), -1.0, dtype=torch.bfloat16), r"values in \[-1, 1\]"),
        (torch.full((3, 4, 4), float("nan")), "NaN or infinity"),
        ([[0, 0]], "=list: .*a path, a PIL image, a NumPy array, a tensor"),
        (b"a.png", "=bytes"),
        (None, "=NoneType"),
        (Image.new("F", (4, 4)), "32 bits"),
        (Image.new("I", (4, 4)), "32 bits"),
        ("missing.png", "missing.png cannot be read as an image: there is no such file"),
    ],
)
def test_what_is_no_picture_is_refused(upscaler: Upscaler, image: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        upscaler.upscale(image)


def test_a_path_is_read_like_the_picture_in_it(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(random(6, 9, 3)).save(tmp_path / "a.png", dpi=(300, 300))
    larger = upscaler.upscale(tmp_path / "a.png")
    assert np.array_equal(np.asarray(larger), upscaler.upscale(random(6, 9, 3)))
    assert np.array_equal(np.asarray(upscaler.upscale(str(tmp_path / "a.png"))), np.asarray(larger))
    assert larger.info["dpi"] == (300, 300)


def test_a_path_of_16_bits_gives_16_bits_where_pillow_has_them(upscaler: Upscaler, tmp_path: Path) -> None:
    from upnet.imaging.image import RasterImage
    from upnet.imaging.writing import write_image

    write_image(RasterImage(random(6, 7).astype(np.uint16) * 257), tmp_path / "grey.png")
    assert upscaler.upscale(tmp_path / "grey.png").mode == "I;16"
    write_image(RasterImage(random(6, 7, 3).astype(np.uint16) * 257), tmp_path / "colour.png")
    with pytest.raises(ValueError, match=r"neither 16-bit colour .*Pass an array .*upnet evaluate"):
        upscaler.upscale(tmp_path / "colour.png")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.asfortranarray(image),
        lambda image: image[::1, ::-1][:, ::-1],
        lambda image: np.ma.masked_array(image),
        lambda image: np.broadcast_to(image, image.shape),  # read-only
    ],
)
def test_arrays_of_any_layout_give_the_same(upscaler: Upscaler, change: Callable[[np.ndarray], np.ndarray]) -> None:
    picture = random(8, 9, 3)
    assert np.array_equal(upscaler.upscale(change(picture)), upscaler.upscale(picture))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_and_the_other_byte_order_are_understood(upscaler: Upscaler) -> None:
    grey = random(8, 9)
    assert np.array_equal(upscaler.upscale(np.asmatrix(grey)), upscaler.upscale(grey))
    deep = random(8, 9, 3).astype(np.uint16) * 257
    larger = upscaler.upscale(deep.astype(">u2"))
    assert larger.dtype == np.dtype(">u2")
    assert np.array_equal(larger, upscaler.upscale(deep))


def test_rounding_errors_around_0_and_1_are_no_reason_to_refuse(upscaler: Upscaler) -> None:
    assert upscaler.upscale(np.full((4, 4, 3), 1 + 1e-6, np.float32)).max() <= 1
    assert upscaler.upscale(torch.full((3, 4, 4), -1e-6)).min() >= 0


def test_tensors_of_16_bits_are_kept(upscaler: Upscaler) -> None:
    deep = random(6, 7, 3).astype(np.uint16) * 257
    larger = upscaler.upscale(torch.from_numpy(deep).movedim(-1, 0))
    assert larger.dtype == torch.uint16
    assert np.array_equal(larger.movedim(0, -1).numpy(), upscaler.upscale(deep))


def test_a_tensor_that_needs_gradients_gives_plain_numbers(upscaler: Upscaler) -> None:
    picture = torch.rand(4, 6, 7)
    larger = upscaler.upscale(picture.clone().requires_grad_())
    assert not larger.requires_grad
    assert torch.equal(larger, upscaler.upscale(picture))


def test_a_network_on_luma_leaves_colour_to_bicubic(compose: Compose) -> None:
    from upnet.imaging.colour import rgb_to_ycbcr
    from upnet.imaging.imresize import imresize

    net = build(compose("model=espcn").model)
    rgb = torch.rand(3, 9, 8)
    colour = rgb_to_ycbcr(upscale_tensor(net, rgb))[1:]
    torch.testing.assert_close(colour, imresize(rgb_to_ycbcr(rgb)[1:], 2).float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("ensemble", ["none", "x8"])
def test_the_smallest_and_thinnest_pictures_are_enlarged(
    upscaler: Upscaler, size: tuple[int, int], ensemble: Literal["none", "x8"]
) -> None:
    larger = Upscaler(upscaler.net, ensemble=ensemble).upscale(random(*size, 4))
    assert larger.shape == (2 * size[0], 2 * size[1], 4)


def test_the_ensemble_is_that_of_the_network(upscaler: Upscaler) -> None:
    picture = torch.rand(3, 7, 10)
    expected = self_ensemble(lambda one: upscale_tensor(upscaler.net, one), picture).clamp(0, 1)
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
    with pytest.raises(ValueError, match=r"ensemble=x4: is unknown\. Allowed: none or x8"):
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


def test_loading_sets_no_environment_variables() -> None:
    before = dict(os.environ)
    upnet.load(ROOT / "tests/legacy/unet.safetensors")
    assert dict(os.environ) == before
