import numpy as np
import pytest
import skimage.color
import torch

from upnet.imaging.colour import luma, rgb_to_ycbcr, rounded_luma, ycbcr_to_rgb


def test_luma_equals_the_published_formula() -> None:
    rgb = torch.rand(2, 5, 3, 7, 9, dtype=torch.float64)
    r, g, b = rgb.numpy()[:, :, 0], rgb.numpy()[:, :, 1], rgb.numpy()[:, :, 2]
    expected = (65.481 * r + 128.553 * g + 24.966 * b + 16) / 255
    assert luma(rgb).shape == (2, 5, 1, 7, 9)
    np.testing.assert_allclose(luma(rgb)[:, :, 0].numpy(), expected, rtol=0, atol=1e-15)


def test_ycbcr_equals_scikit_image() -> None:
    rgb = torch.rand(3, 11, 13, dtype=torch.float64)
    expected = skimage.color.rgb2ycbcr(rgb.permute(1, 2, 0).numpy()) / 255
    np.testing.assert_allclose(rgb_to_ycbcr(rgb).permute(1, 2, 0).numpy(), expected, rtol=0, atol=1e-14)


def test_luma_is_the_first_channel_of_ycbcr() -> None:
    rgb = torch.rand(4, 3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(luma(rgb), rgb_to_ycbcr(rgb)[:, :1], rtol=0, atol=1e-15)


def test_rgb_and_ycbcr_conversions_are_inverse() -> None:
    image = torch.rand(2, 3, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(image)), image, rtol=0, atol=1e-14)
    torch.testing.assert_close(rgb_to_ycbcr(ycbcr_to_rgb(image)), image, rtol=0, atol=1e-14)


def test_black_grey_and_white_map_to_the_studio_range() -> None:
    levels = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64).expand(3, 1, 3)
    y, cb, cr = (255 * rgb_to_ycbcr(levels)).unbind(0)
    np.testing.assert_allclose(y.numpy(), [[16, 125.5, 235]], atol=1e-12)
    np.testing.assert_allclose(cb.numpy(), 128, atol=1e-12)
    np.testing.assert_allclose(cr.numpy(), 128, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_floating_dtype_is_kept(dtype: torch.dtype) -> None:
    rgb = torch.rand(3, 4, 4).to(dtype)
    assert luma(rgb).dtype == rgb_to_ycbcr(rgb).dtype == ycbcr_to_rgb(rgb).dtype == dtype


def test_rounded_luma_is_exact_and_rounds_halves_up() -> None:
    rgb = np.stack(np.meshgrid(np.arange(256), np.arange(256), np.arange(30), indexing="ij")).astype(np.uint8)
    rgb = rgb.reshape(3, 256, -1)
    red, green, blue = rgb.astype(np.int64)
    thousandths = 65481 * red + 128553 * green + 24966 * blue
    halves = thousandths % 255_000 == 127_500
    assert halves.any()
    expected = 16 + (2 * thousandths + 255_000) // 510_000
    np.testing.assert_array_equal(rounded_luma(torch.from_numpy(rgb))[0].numpy(), expected)


@pytest.mark.parametrize("convert", [luma, rgb_to_ycbcr, ycbcr_to_rgb])
def test_unsupported_dtypes_and_shapes_are_rejected(convert) -> None:
    with pytest.raises(ValueError, match=r"floating point.*got torch.uint8"):
        convert(torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"\(\.\.\., 3, H, W\); got \(1, 4, 4\)"):
        convert(torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"got \(4, 4\)"):
        convert(torch.zeros(4, 4))


def test_rounded_luma_rejects_floating_point() -> None:
    with pytest.raises(ValueError, match=r"uint8; got \(3, 4, 4\) torch.float32"):
        rounded_luma(torch.zeros(3, 4, 4))
