"""imresize compared with exact rational arithmetic, other libraries and images resized by MATLAB."""

import math
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import ROOT

from upnet.imaging.imresize import imresize, resized_length

Border = Literal["symmetric", "replicate"]
BORDERS: tuple[Border, ...] = ("symmetric", "replicate")
SCALES = [2, 3, 4, Fraction(1, 2), Fraction(1, 3), Fraction(1, 4), Fraction(3, 2), Fraction(2, 3), Fraction(57, 50)]
IMAGES = ROOT.parent / "shared/images"


def keys_kernel(x: Fraction) -> Fraction:
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    if x <= 2:
        return Fraction(-1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2
    return Fraction(0)


def source_index(index: int, length: int, border: Border) -> int:
    if border == "replicate":
        return min(max(index, 0), length - 1)
    period = [*range(length), *reversed(range(length))]
    return period[index % (2 * length)]


def exact_row(row: list[Fraction], scale: Fraction, border: Border) -> list[Fraction]:
    """Resize one row by MATLAB's formulas in rational arithmetic."""
    shrink = min(scale, Fraction(1))
    width = 4 / shrink
    out = []
    for o in range(1, math.ceil(scale * len(row)) + 1):
        u = o / scale + (1 - 1 / scale) / 2
        left = math.floor(u - width / 2)
        taps = range(left, left + math.ceil(width) + 2)
        weights = [shrink * keys_kernel(shrink * (u - i)) for i in taps]
        pixels = [row[source_index(i - 1, len(row), border)] for i in taps]
        out.append(sum((w * p for w, p in zip(weights, pixels, strict=True)), Fraction(0)) / sum(weights))
    return out


def exact(image: np.ndarray, scale: float | Fraction, border: Border, quantised: bool) -> np.ndarray:
    """Resize an image of shape (H, W) by `exact_row`, rows first."""

    def resize_rows(grid: list[list[Fraction]]) -> list[list[Fraction]]:
        resized = [exact_row(row, Fraction(scale), border) for row in grid]
        if quantised:
            half = Fraction(1, 2)
            resized = [[Fraction(min(max(math.floor(v + half), 0), 255)) for v in row] for row in resized]
        return [list(column) for column in zip(*resized, strict=True)]

    columns = [[Fraction(v.item()) for v in column] for column in image.T]
    return np.array(resize_rows(resize_rows(columns)), dtype=np.float64).T.astype(image.dtype)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Mostly black and white noise. Both passes overshoot, so clamping between them affects the result."""
    rng = np.random.default_rng(seed)
    return rng.choice(np.array([0, 1, 127, 128, 254, 255], dtype=np.uint8), size=shape)


@pytest.mark.covering
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_uint8_equals_rational_arithmetic(scale: Fraction, border: Border) -> None:
    image = noise(9, 7)
    np.testing.assert_array_equal(imresize(image, scale, border), exact(image, scale, border, quantised=True))


@pytest.mark.covering
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_float_equals_rational_arithmetic(scale: Fraction, border: Border) -> None:
    image = np.random.default_rng(1).normal(size=(6, 8))
    expected = exact(image, scale, border, quantised=False)
    np.testing.assert_allclose(imresize(image, scale, border), expected, rtol=0, atol=1e-14)


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    scale=st.fractions(Fraction(1, 6), 5, max_denominator=60),
    border=st.sampled_from(BORDERS),
    seed=st.integers(0, 99),
)
def test_uint8_equals_rational_arithmetic_at_any_size_and_scale(
    size: tuple[int, int], scale: Fraction, border: Border, seed: int
) -> None:
    image = noise(*size, seed=seed)
    np.testing.assert_array_equal(imresize(image, scale, border), exact(image, scale, border, quantised=True))


def test_an_irrational_scale_is_used_unrounded() -> None:
    image = np.random.default_rng(2).normal(size=(8, 5))
    scale = math.sqrt(0.5)
    expected = exact(image, scale, "symmetric", quantised=False)
    np.testing.assert_allclose(imresize(image, scale), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("scale", "length"), [(1 / 3, 100), (1 - 2 / 3, 100), (0.1 + 0.2, 90), (1.14, 342), (0.7, 210)]
)
def test_float_rounding_of_the_scale_adds_no_row(scale: float, length: int) -> None:
    assert resized_length(300, scale) == length
    assert imresize(np.zeros((300, 3)), scale).shape[0] == length


@pytest.mark.parametrize("length", range(1, 12))
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_output_size_is_the_ceiling_of_scale_times_size(scale: Fraction, length: int) -> None:
    assert imresize(np.zeros((length, 2 * length)), scale).shape == (
        math.ceil(scale * length),
        math.ceil(scale * 2 * length),
    )


def test_each_pass_is_rounded_and_clamped_with_rows_first() -> None:
    image = noise(24, 24)
    two_passes = imresize(image, Fraction(1, 2))
    rounded_once = (imresize(image.astype(np.float64), Fraction(1, 2)) + 0.5).clip(0, 255).astype(np.uint8)
    assert np.abs(two_passes.astype(int) - rounded_once).max() > 3
    assert (two_passes != imresize(image.T.copy(), Fraction(1, 2)).T).any()


@pytest.mark.parametrize("mode", ["numpy", "torch"])
@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(2, 3), 3])
def test_channels_and_planes_are_resized_independently(mode: str, scale: Fraction) -> None:
    image = noise(21, 17, 4)
    planes = [imresize(image[..., channel], scale) for channel in range(4)]
    if mode == "numpy":
        np.testing.assert_array_equal(imresize(image, scale), np.stack(planes, axis=-1))
    else:
        tensor = torch.from_numpy(image).permute(2, 0, 1).reshape(2, 1, 2, 21, 17)
        resized = imresize(tensor, scale)
        np.testing.assert_array_equal(resized.numpy(), np.stack(planes).reshape(2, 1, 2, *planes[0].shape))


@pytest.mark.rotating
@pytest.mark.parametrize("scale", [Fraction(1, 3), Fraction(57, 50), 4], ids=str)
def test_block_processing_does_not_change_the_result(scale: Fraction) -> None:
    # A block has fewer rows if the image has many values per row.
    plane = torch.from_numpy(noise(300, 90))
    for resized in imresize(plane.expand(150, 300, 90), scale):
        assert torch.equal(resized, imresize(plane, scale))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_dtype_is_kept(dtype: type) -> None:
    image = noise(12, 10, 3).astype(dtype)
    resized = imresize(image, Fraction(1, 2))
    assert resized.dtype == dtype
    tensor = imresize(torch.from_numpy(image).permute(2, 0, 1), Fraction(1, 2))
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), resized)
    assert imresize(torch.ones(4, 4, dtype=torch.bfloat16), 2).dtype == torch.bfloat16


def test_float32_is_computed_in_float64() -> None:
    image = np.random.default_rng(3).random((40, 30)).astype(np.float32)
    np.testing.assert_array_equal(imresize(image, 0.7), imresize(image.astype(np.float64), 0.7).astype(np.float32))


def test_strides_byte_order_and_write_protection_do_not_affect_the_result() -> None:
    image = noise(16, 14, 3)
    read_only = image.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(imresize(read_only, 2), imresize(image, 2))
    np.testing.assert_array_equal(imresize(image[::-1, ::2], 2), imresize(image[::-1, ::2].copy(), 2))
    swapped = image.astype(np.dtype(np.float64).newbyteorder())
    np.testing.assert_array_equal(imresize(swapped, 2), imresize(image.astype(np.float64), 2))


def test_the_result_is_independent_of_torch_precision_settings() -> None:
    image = noise(64, 64)
    expected = imresize(image, Fraction(1, 4))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        np.testing.assert_array_equal(imresize(image, Fraction(1, 4)), expected)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("scale", [2, 3, Fraction(3, 2)], ids=str)
def test_upscaling_reproduces_a_parabola_away_from_borders(scale: Fraction) -> None:
    def parabola(x: np.ndarray) -> np.ndarray:
        return 0.3 * x**2 - 2 * x + 5

    scale = Fraction(scale)
    u = (np.arange(math.ceil(20 * scale)) + 0.5) / float(scale) - 0.5
    resized = imresize(np.tile(parabola(np.arange(20.0))[:, None], (1, 4)), scale)[:, 0]
    inner = (u >= 1) & (u <= 18)
    np.testing.assert_allclose(resized[inner], parabola(u[inner]), atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_a_constant_image_stays_constant(scale: Fraction, border: Border) -> None:
    assert (imresize(np.full((5, 9, 3), 201, np.uint8), scale, border) == 201).all()


@pytest.mark.parametrize(
    ("border", "mode"), [("symmetric", "symmetric"), ("replicate", "edge")], ids=["symmetric", "replicate"]
)
def test_borders_equal_explicit_padding(border: Border, mode: Literal["symmetric", "edge"]) -> None:
    image = noise(20, 22)
    padded = imresize(np.pad(image, 12, mode=mode), Fraction(1, 2))
    np.testing.assert_array_equal(imresize(image, Fraction(1, 2), border), padded[6:-6, 6:-6])


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1, 3), Fraction(2, 3), 2, Fraction(3, 2)], ids=str)
def test_inner_pixels_equal_pillow_and_antialiased_torch(scale: Fraction) -> None:
    image = np.random.default_rng(4).random((42, 60)).astype(np.float32)
    resized = imresize(image, scale)
    height, width = resized.shape
    pillow = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    tensor = torch.from_numpy(image).double()[None, None]
    size = [height, width]
    antialiased = torch.nn.functional.interpolate(tensor, size=size, mode="bicubic", antialias=True)[0, 0].numpy()
    margin = math.ceil(2 * max(1, scale))
    inner = (slice(margin, -margin), slice(margin, -margin))
    np.testing.assert_allclose(resized[inner], pillow[inner], atol=2e-6)
    np.testing.assert_allclose(imresize(image.astype(np.float64), scale)[inner], antialiased[inner], atol=1e-12)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(3, 2)], ids=str)
def test_gradients_equal_numerical_gradients(scale: Fraction) -> None:
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: imresize(t, scale), (x,))


def test_a_call_in_inference_mode_does_not_affect_training() -> None:
    with torch.inference_mode():
        imresize(torch.rand(7, 7), 2)
    x = torch.rand(7, 7, requires_grad=True)
    imresize(x, 2).sum().backward()
    assert x.grad is not None
    assert x.grad.sum().item() == pytest.approx(4 * 49)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_matlab_images_are_reproduced_exactly(name: str, scale: int) -> None:
    files = sorted((IMAGES / name / "HR").glob("*.png"))
    if not files:
        pytest.skip(f"{name} is not in ../shared/images")
    for file in files:
        hr = np.asarray(Image.open(file))
        lr = np.asarray(Image.open(IMAGES / name / "LR_bicubic" / f"X{scale}" / f"{file.stem}x{scale}.png"))
        cropped = hr[: scale * lr.shape[0], : scale * lr.shape[1]]
        assert np.count_nonzero(imresize(cropped, Fraction(1, scale), "replicate") != lr) == 0, file.name
        assert np.count_nonzero(imresize(cropped, 1 / scale, "replicate") != lr) == 0, file.name


@pytest.mark.parametrize(
    ("image", "scale", "border", "message"),
    [
        (np.zeros((4, 4), np.int32), 2, "symmetric", "uint8 or floating point; got int32"),
        (np.zeros((4, 4), bool), 2, "symmetric", "got bool"),
        (torch.zeros(4, 4, dtype=torch.int64), 2, "symmetric", "got torch.int64"),
        (np.zeros(4), 2, "symmetric", r"height and a width.*\(4,\)"),
        (np.zeros((0, 4)), 2, "symmetric", r"height and a width.*\(0, 4\)"),
        (torch.zeros(3, 4, 0), 2, "symmetric", "height and a width"),
        (np.zeros((1, 1, 4, 4)), 2, "symmetric", r"\(H, W, C\); got \(1, 1, 4, 4\)"),
        ([[1.0]], 2, "symmetric", "NumPy array or a torch tensor; got list"),
        (np.zeros((4, 4)), 0, "symmetric", "between 1/1024 and 1024; got 0"),
        (np.zeros((4, 4)), -2.0, "symmetric", "got -2.0"),
        (np.zeros((4, 4)), math.nan, "symmetric", "finite; got nan"),
        (np.zeros((4, 4)), math.inf, "symmetric", "finite; got inf"),
        (np.zeros((4, 4)), 1e-9, "symmetric", "between 1/1024"),
        (np.zeros((4, 4)), 2, "mirror", "symmetric, replicate; got 'mirror'"),
    ],
)
def test_invalid_arguments_are_rejected(image, scale, border, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imresize(image, scale, border)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_gpu_equals_cpu(scale: Fraction) -> None:
    image = torch.from_numpy(noise(3, 701, 403))
    assert torch.equal(imresize(image.cuda(), scale).cpu(), imresize(image, scale))
    values = torch.rand(3, 301, 203, dtype=torch.float64)
    torch.testing.assert_close(imresize(values.cuda(), scale).cpu(), imresize(values, scale), rtol=0, atol=1e-13)
