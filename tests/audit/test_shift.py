"""Known shifts are measured; LR on the half-pixel grid has none."""

from collections.abc import Callable

import numpy as np
import pytest

from upnet.audit import shift
from upnet.audit.degradations import candidate_degradations

ON_THE_GRID = [
    "imresize-symmetric",
    "Pillow's bilinear",
    "Pillow's Lanczos",
    "area (mean of each block)",
]
ALIASED = "bicubic without antialiasing (a = -0.75, torch and OpenCV)"


@pytest.fixture
def shifts(photographs: dict[str, np.ndarray]) -> Callable[[str, int], dict[str, shift.Shift]]:
    """shifts(way, scale): of all photographs, LR being made so."""

    def measured(way: str, scale: int) -> dict[str, shift.Shift]:
        found = {}
        for name, picture in photographs.items():
            hr = picture[: picture.shape[0] // scale * scale, : picture.shape[1] // scale * scale]
            one = shift.measure_shift(hr, candidate_degradations(scale)[way](hr), scale)
            assert one is not None
            found[name] = one
        return found

    return measured


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("way", ON_THE_GRID)
def test_lr_on_the_half_pixel_grid_is_not_shifted(
    way: str, scale: int, shifts: Callable[[str, int], dict[str, shift.Shift]]
) -> None:
    findings, figures = shift.report_shifts(shifts(way, scale), scale)
    assert findings == []
    assert max(map(abs, figures["left, top, right, bottom"])) < 0.02  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_aliasing_is_noise_and_no_shift(scale: int, shifts: Callable[[str, int], dict[str, shift.Shift]]) -> None:
    assert shift.report_shifts(shifts(ALIASED, scale), scale)[0] == []


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_taking_the_first_pixel_of_each_block_shifts_by_half_a_block_less_half_a_pixel(
    scale: int, shifts: Callable[[str, int], dict[str, shift.Shift]]
) -> None:
    way = next(name for name in candidate_degradations(scale) if name.endswith("the first of each block"))
    (finding,), figures = shift.report_shifts(shifts(way, scale), scale)
    expected = (1 - scale) / 2 / scale
    assert figures["left, top, right, bottom"] == pytest.approx([expected] * 4, abs=0.04)
    assert "shifted" in finding.problem


def test_corner_aligned_lr_is_stretched_about_its_centre(
    shifts: Callable[[str, int], dict[str, shift.Shift]],
) -> None:
    (finding,), figures = shift.report_shifts(shifts("corner-aligned bicubic", 2), 2)
    assert figures["left, top, right, bottom"] == pytest.approx([-0.25, -0.25, 0.25, 0.25], abs=0.04)
    assert "corner-aligned" in finding.problem


def test_one_shifted_picture_among_good_ones_is_named(
    shifts: Callable[[str, int], dict[str, shift.Shift]],
) -> None:
    good = shifts("imresize-symmetric", 2)
    bad = shifts(next(name for name in candidate_degradations(2) if name.endswith("the first of each block")), 2)
    (finding,), _ = shift.report_shifts({**good, "coffee": bad["coffee"]}, 2)
    assert finding.images == ["coffee"]


def test_flat_and_tiny_pictures_tell_no_shift() -> None:
    flat = np.full((80, 80, 3), 100, np.uint8)
    assert shift.measure_shift(flat, flat[::2, ::2], 2) is None
    assert shift.measure_shift(flat[:40], flat[:40:2, ::2], 2) is None
