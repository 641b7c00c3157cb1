"""Known shifts are measured; LR images on the half-pixel grid have none."""

from collections.abc import Callable

import numpy as np
import pytest

from upnet.audit import shift
from upnet.audit.degradations import candidate_degradations

HALF_PIXEL_GRID = [
    "imresize-symmetric",
    "Pillow's bilinear",
    "Pillow's Lanczos",
    "area (mean of each block)",
]
ALIASED = "bicubic without antialiasing (a = -0.75, torch and OpenCV)"


@pytest.fixture
def shifts(photographs: dict[str, np.ndarray]) -> Callable[[str, int], dict[str, shift.Shift]]:
    """shifts(degradation, scale) -> photograph name -> the shift of its LR image by this degradation."""

    def measure(degradation: str, scale: int) -> dict[str, shift.Shift]:
        measured_shifts = {}
        for name, image in photographs.items():
            hr = image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
            image_shift = shift.measure_shift(hr, candidate_degradations(scale)[degradation](hr), scale)
            assert image_shift is not None
            measured_shifts[name] = image_shift
        return measured_shifts

    return measure


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("degradation", HALF_PIXEL_GRID)
def test_lr_on_the_half_pixel_grid_has_no_shift(
    degradation: str, scale: int, shifts: Callable[[str, int], dict[str, shift.Shift]]
) -> None:
    findings, figures = shift.report_shifts(shifts(degradation, scale), scale)
    assert findings == []
    assert max(map(abs, figures["left, top, right, bottom"])) < 0.02  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_aliasing_is_not_reported_as_a_shift(scale: int, shifts: Callable[[str, int], dict[str, shift.Shift]]) -> None:
    assert shift.report_shifts(shifts(ALIASED, scale), scale)[0] == []


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_subsampling_shifts_by_half_a_block_minus_half_a_pixel(
    scale: int, shifts: Callable[[str, int], dict[str, shift.Shift]]
) -> None:
    degradation = next(name for name in candidate_degradations(scale) if name.endswith("the first of each block"))
    (finding,), figures = shift.report_shifts(shifts(degradation, scale), scale)
    expected = (1 - scale) / 2 / scale
    assert figures["left, top, right, bottom"] == pytest.approx([expected] * 4, abs=0.04)
    assert "shifted" in finding.problem


def test_corner_aligned_lr_is_reported_as_stretched(
    shifts: Callable[[str, int], dict[str, shift.Shift]],
) -> None:
    (finding,), figures = shift.report_shifts(shifts("corner-aligned bicubic", 2), 2)
    assert figures["left, top, right, bottom"] == pytest.approx([-0.25, -0.25, 0.25, 0.25], abs=0.04)
    assert "corner-aligned" in finding.problem


def test_a_single_shifted_image_is_named(
    shifts: Callable[[str, int], dict[str, shift.Shift]],
) -> None:
    unshifted = shifts("imresize-symmetric", 2)
    subsampled = shifts(next(name for name in candidate_degradations(2) if name.endswith("the first of each block")), 2)
    (finding,), _ = shift.report_shifts({**unshifted, "coffee": subsampled["coffee"]}, 2)
    assert finding.images == ["coffee"]


def test_flat_and_tiny_images_give_no_shift() -> None:
    flat = np.full((80, 80, 3), 100, np.uint8)
    assert shift.measure_shift(flat, flat[::2, ::2], 2) is None
    assert shift.measure_shift(flat[:40], flat[:40:2, ::2], 2) is None
