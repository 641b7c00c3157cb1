"""Baseline interpolations against torch, Pillow and published scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from support import ROOT
from torch import Tensor

from upnet.imaging.colour import rounded_luma
from upnet.imaging.reading import read_rgb
from upnet.metrics import BASELINES, psnr

IMAGES = ROOT.parent / "shared/images"


def random_image(height: int = 13, width: int = 11, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    return torch.randint(0, 256, (channels, height, width), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["nearest", "bilinear"])
def test_nearest_and_bilinear_equal_torch_on_the_half_pixel_grid(name: str, scale: int) -> None:
    lr = random_image()
    corners = False if name == "bilinear" else None
    expected = F.interpolate(lr[None].to(torch.float64) / 255, scale_factor=scale, mode=name, align_corners=corners)[0]
    torch.testing.assert_close(BASELINES[name](lr, scale), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lanczos_equals_pillow_including_borders(scale: int) -> None:
    lr = random_image(channels=1)
    height, width = (scale * side for side in lr.shape[1:])
    planes = Image.fromarray(lr[0].numpy().astype(np.float32))
    expected = np.asarray(planes.resize((width, height), Image.Resampling.LANCZOS), dtype=np.float64) / 255
    np.testing.assert_allclose(BASELINES["lanczos"](lr, scale)[0].numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_constant_image_stays_constant(name: str) -> None:
    enlarged = BASELINES[name](torch.full((1, 5, 4), 200, dtype=torch.uint8), 3)
    torch.testing.assert_close(enlarged, torch.full((1, 15, 12), 200 / 255, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", BASELINES)
def test_uint8_and_float_inputs_give_the_same_output(name: str) -> None:
    lr = random_image()
    torch.testing.assert_close(BASELINES[name](lr, 2), BASELINES[name](lr.to(torch.float64) / 255, 2))


@pytest.mark.parametrize("name", BASELINES)
def test_other_data_types_are_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=r"uint8, or floating point in \[0, 1\]; got torch.int32"):
        BASELINES[name](torch.zeros(3, 4, 4, dtype=torch.int32), 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nearest", (30.84, 27.91, 26.25)),
        ("bilinear", (32.23, 29.53, 27.55)),
        ("bicubic", (33.65, 30.39, 28.42)),
        ("lanczos", (34.28, 30.81, 28.79)),
    ],
)
def test_set5_scores_equal_published_ones(name: str, expected: tuple[float, float, float]) -> None:
    """Rounded Y of the LR files, enlarged without rounding, evaluated without `scale` pixels at each side."""
    if not (IMAGES / "Set5").is_dir():
        pytest.skip("Set5 is not in ../shared/images")
    for scale, known in zip((2, 3, 4), expected, strict=True):
        decibels = []
        for file in sorted((IMAGES / "Set5/HR").glob("*.png")):
            lr = load(IMAGES / f"Set5/LR_bicubic/X{scale}/{file.stem}x{scale}.png")
            hr = load(file)[:, : scale * lr.shape[1], : scale * lr.shape[2]]
            enlarged = BASELINES[name](rounded_luma(lr) / 255, scale) * 255
            inner = (slice(None), slice(scale, -scale), slice(scale, -scale))
            decibels.append(psnr(enlarged[inner], rounded_luma(hr)[inner]))
        assert sum(decibels) / len(decibels) == pytest.approx(known, abs=0.0101)


def load(file: Path) -> Tensor:
    return torch.from_numpy(read_rgb(file).copy()).movedim(-1, 0)


@pytest.mark.gpu
@pytest.mark.parametrize("name", BASELINES)
def test_gpu_equals_cpu(name: str) -> None:
    lr = random_image()
    torch.testing.assert_close(BASELINES[name](lr.cuda(), 3).cpu(), BASELINES[name](lr, 3), rtol=0, atol=1e-13)
