"""Upscaler accepts every kind of image and returns the same kind."""

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
def test_images_of_every_mode_are_upscaled(upscaler: Upscaler, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(random(9, 13).astype(np.uint16) * 257)
    else:
        image = Image.fromarray(random(9, 13, 3)).convert(mode)
    upscaled = upscaler.upscale(image)
    assert upscaled.size == (26, 18)
    expected = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert upscaled.mode == expected


def test_arrays_tensors_and_pillow_images_have_equal_output(upscaler: Upscaler) -> None:
    array = random(8, 11, 3)
    upscaled = upscaler.upscale(array)
    assert upscaled.dtype == np.uint8
    assert np.array_equal(upscaled, np.asarray(upscaler.upscale(Image.fromarray(array))))
    planes = torch.from_numpy(array).movedim(-1, 0)
    assert torch.equal(upscaler.upscale(planes), torch.from_numpy(upscaled).movedim(-1, 0))
    floating = upscaler.upscale(array.astype(np.float32) / 255)
    assert np.abs(floating * 255 - upscaled).max() <= 0.5 + 1e-3
    assert torch.equal(upscaler.upscale(planes[None])[0], upscaler.upscale(planes))


def test_16_bits_are_kept(upscaler: Upscaler) -> None:
    samples = (random(6, 7, 3).astype(np.uint16) << 8) + random(6, 7, 3)
    upscaled = upscaler.upscale(samples)
    exact = upscale_tensor(upscaler.net, torch.from_numpy(samples.astype(np.float32) / 65535).movedim(-1, 0))
    assert upscaled.dtype == np.uint16
    expected = exact.clamp(0, 1).movedim(0, -1).numpy() * 65535
    assert np.abs(upscaled.astype(float) - expected).max() <= 1


def test_alpha_is_upscaled_by_bicubic_interpolation(upscaler: Upscaler) -> None:
    from upnet.imaging.imresize import imresize

    image = random(8, 9, 4)
    image[..., 3] |= 16  # colours with a lower alpha depend on their neighbours
    upscaled = upscaler.upscale(image)
    expected = imresize(image[..., 3].astype(np.float64) / 255, 2).clip(0, 1) * 255
    assert np.abs(upscaled[..., 3] - expected).max() <= 0.5 + 1e-3
    assert np.array_equal(upscaled[..., :3], upscaler.upscale(image[..., :3]))


@pytest.mark.parametrize(
    ("image", "message"),
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
def test_invalid_images_are_rejected(upscaler: Upscaler, image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        upscaler.upscale(image)


def test_a_path_is_read_as_an_image(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(random(6, 9, 3)).save(tmp_path / "a.png", dpi=(300, 300))
    upscaled = upscaler.upscale(tmp_path / "a.png")
    assert np.array_equal(np.asarray(upscaled), upscaler.upscale(random(6, 9, 3)))
    assert np.array_equal(np.asarray(upscaler.upscale(str(tmp_path / "a.png"))), np.asarray(upscaled))
    assert upscaled.info["dpi"] == (300, 300)


def test_a_path_of_a_16_bit_image_keeps_16_bits_or_is_rejected(upscaler: Upscaler, tmp_path: Path) -> None:
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
def test_the_memory_layout_of_an_array_does_not_affect_the_output(
    upscaler: Upscaler, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    image = random(8, 9, 3)
    assert np.array_equal(upscaler.upscale(change(image)), upscaler.upscale(image))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrices_and_swapped_byte_order_are_supported(upscaler: Upscaler) -> None:
    grey = random(8, 9)
    assert np.array_equal(upscaler.upscale(np.asmatrix(grey)), upscaler.upscale(grey))
    samples = random(8, 9, 3).astype(np.uint16) * 257
    upscaled = upscaler.upscale(samples.astype(">u2"))
    assert upscaled.dtype == np.dtype(">u2")
    assert np.array_equal(upscaled, upscaler.upscale(samples))


def test_rounding_errors_around_0_and_1_are_accepted(upscaler: Upscaler) -> None:
    assert upscaler.upscale(np.full((4, 4, 3), 1 + 1e-6, np.float32)).max() <= 1
    assert upscaler.upscale(torch.full((3, 4, 4), -1e-6)).min() >= 0


def test_tensors_of_16_bits_stay_16_bits(upscaler: Upscaler) -> None:
    samples = random(6, 7, 3).astype(np.uint16) * 257
    upscaled = upscaler.upscale(torch.from_numpy(samples).movedim(-1, 0))
    assert upscaled.dtype == torch.uint16
    assert np.array_equal(upscaled.movedim(0, -1).numpy(), upscaler.upscale(samples))


def test_the_output_of_a_tensor_with_gradients_has_no_gradients(upscaler: Upscaler) -> None:
    image = torch.rand(4, 6, 7)
    upscaled = upscaler.upscale(image.clone().requires_grad_())
    assert not upscaled.requires_grad
    assert torch.equal(upscaled, upscaler.upscale(image))


def test_chroma_of_a_luma_network_is_upscaled_by_bicubic_interpolation(compose: Compose) -> None:
    from upnet.imaging.colour import rgb_to_ycbcr
    from upnet.imaging.imresize import imresize

    net = build(compose("model=espcn").model)
    rgb = torch.rand(3, 9, 8)
    colour = rgb_to_ycbcr(upscale_tensor(net, rgb))[1:]
    torch.testing.assert_close(colour, imresize(rgb_to_ycbcr(rgb)[1:], 2).float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("ensemble", ["none", "x8"])
def test_tiny_and_narrow_images_are_upscaled(
    upscaler: Upscaler, size: tuple[int, int], ensemble: Literal["none", "x8"]
) -> None:
    upscaled = Upscaler(upscaler.net, ensemble=ensemble).upscale(random(*size, 4))
    assert upscaled.shape == (2 * size[0], 2 * size[1], 4)


def test_the_ensemble_equals_the_self_ensemble_of_the_network(upscaler: Upscaler) -> None:
    image = torch.rand(3, 7, 10)
    expected = self_ensemble(lambda x: upscale_tensor(upscaler.net, x), image).clamp(0, 1)
    torch.testing.assert_close(Upscaler(upscaler.net, ensemble="x8").upscale(image), expected, atol=1e-6, rtol=0)
    assert not torch.allclose(upscaler.upscale(image), expected, atol=1e-4)


def test_the_ensemble_is_equivariant_to_rotation(upscaler: Upscaler) -> None:
    upscale = Upscaler(upscaler.net, ensemble="x8").upscale
    image = torch.rand(3, 9, 6)
    torch.testing.assert_close(upscale(image.rot90(1, (1, 2))), upscale(image).rot90(1, (1, 2)), atol=1e-5, rtol=0)


def test_tiled_output_equals_untiled(upscaler: Upscaler) -> None:
    image = random(40, 50, 3)
    untiled, tiled = (Upscaler(upscaler.net, tile).upscale(image) for tile in ("none", 16))
    assert np.abs(untiled.astype(int) - tiled).max() <= 1


def test_an_unknown_ensemble_is_rejected(upscaler: Upscaler) -> None:
    with pytest.raises(ValueError, match=r"ensemble=x4: is unknown\. Allowed: none or x8"):
        Upscaler(upscaler.net, ensemble="x4")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pillow_image_is_upright_and_keeps_its_exif_and_profile(
    upscaler: Upscaler, tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    Image.fromarray(random(6, 9, 3)).save(tmp_path / "a.png", exif=exif, icc_profile=b"profile")
    with Image.open(tmp_path / "a.png") as image:
        upscaled = upscaler.upscale(image)
        expected = upscaler.upscale(np.asarray(ImageOps.exif_transpose(image)))
    assert np.array_equal(np.asarray(upscaled), expected)
    assert dict(upscaled.getexif()) == {0x0112: 1, 0x010F: "Maker"}
    assert upscaled.info["icc_profile"] == b"profile"


def test_grey_stays_grey_and_keeps_its_16_bits(upscaler: Upscaler) -> None:
    samples = random(6, 7).astype(np.uint16) * 257
    upscaled = upscaler.upscale(Image.fromarray(samples))
    assert upscaled.mode == "I;16"
    assert np.array_equal(np.asarray(upscaled), upscaler.upscale(samples))


def test_a_transparent_colour_of_a_pillow_image_becomes_alpha(upscaler: Upscaler) -> None:
    image = Image.fromarray(random(6, 7, 3))
    image.info["transparency"] = image.getpixel((2, 3))
    alpha = np.full((6, 7), 255, np.uint8)
    alpha[3, 2] = 0
    expected = upscaler.upscale(np.dstack((np.asarray(image), alpha)))
    assert np.array_equal(np.asarray(upscaler.upscale(image)), expected)


def test_a_non_finite_output_is_rejected(upscaler: Upscaler) -> None:
    nan_net = copy.deepcopy(upscaler.net)
    with torch.no_grad():
        for weight in nan_net.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN or infinity"):
        Upscaler(nan_net).upscale(random(4, 4, 3))


def test_loading_sets_no_environment_variables() -> None:
    before = dict(os.environ)
    upnet.load(ROOT / "tests/legacy/unet.safetensors")
    assert dict(os.environ) == before
