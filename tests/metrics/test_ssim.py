from typing import cast

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from upnet.metrics import ssim


def reference(x: np.ndarray, y: np.ndarray, peak: float = 255.0) -> float:
    similarity = structural_similarity(
        x, y, data_range=peak, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return cast(float, similarity)


def pair(*shape: int, noise: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sum(shape))
    smooth = np.cumsum(np.cumsum(rng.normal(size=shape), axis=-1), axis=-2)
    x = 255 * (smooth - smooth.min()) / np.ptp(smooth)
    return x, np.clip(x + noise * rng.normal(size=shape), 0, 255)


# Heights around multiples of the block height (8 rows) and around the window size.
@pytest.mark.parametrize("height", [11, 12, 17, 18, 19, 26, 57, 58, 59])
@pytest.mark.parametrize("width", [11, 12, 18, 19, 90])
def test_ssim_equals_scikit_image(height: int, width: int) -> None:
    x, y = pair(1, height, width)
    assert ssim(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(reference(x, y), abs=1e-11)


@pytest.mark.parametrize("size", [(131, 400), (97, 1024), (58, 2500), (400, 200)])
def test_ssim_computed_in_bands_equals_scikit_image(size: tuple[int, int]) -> None:
    x, y = pair(1, *size)
    assert ssim(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(reference(x, y), abs=1e-11)


def test_ssim_of_a_colour_image_is_the_mean_over_channels() -> None:
    x, y = pair(3, 60, 45)
    assert ssim(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(reference(x, y), abs=1e-11)
    single = [ssim(torch.from_numpy(x[c : c + 1]), torch.from_numpy(y[c : c + 1])) for c in range(3)]
    assert ssim(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(np.mean(single), abs=1e-13)


def test_ssim_is_precise_for_tiny_errors() -> None:
    x, y = pair(1, 64, 64, noise=1e-3)
    assert 1 - ssim(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(1 - reference(x, y), abs=1e-13)


def test_ssim_of_identical_images_is_one() -> None:
    x = torch.from_numpy(pair(3, 40, 50)[0])
    assert ssim(x, x.clone()) == 1.0


def test_ssim_is_symmetric() -> None:
    x, y = (torch.from_numpy(p) for p in pair(1, 40, 50))
    assert ssim(x, y) == pytest.approx(ssim(y, x), abs=1e-14)


def test_ssim_depends_on_the_ratio_of_peak_and_range() -> None:
    x, y = (torch.from_numpy(p) for p in pair(1, 40, 50))
    assert ssim(x / 255, y / 255, peak=1.0) == pytest.approx(ssim(x, y), abs=1e-12)


def test_strided_and_uint8_images_have_the_ssim_of_their_values() -> None:
    x, y = (torch.from_numpy(p.round()) for p in pair(3, 33, 44))
    expected = ssim(x, y)
    strided = x.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert ssim(strided, y) == expected
    assert ssim(x.to(torch.uint8), y.to(torch.uint8)) == expected


@pytest.mark.parametrize("size", [(10, 40), (40, 10)])
def test_image_smaller_than_the_window_is_rejected(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"at least 11x11 pixels after cropping; got {size[0]}x{size[1]}"):
        ssim(torch.zeros(1, *size), torch.zeros(1, *size))


def test_images_of_different_shapes_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"same size; got \(1, 20, 20\) and \(3, 20, 20\)"):
        ssim(torch.zeros(1, 20, 20), torch.zeros(3, 20, 20))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_equals_cpu() -> None:
    x, y = (torch.from_numpy(p) for p in pair(3, 131, 77))
    assert ssim(x.cuda(), y.cuda()) == pytest.approx(ssim(x, y), abs=1e-12)
