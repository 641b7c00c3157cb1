"""Alignment of boxes: a shifted and stretched box is found again."""

import numpy as np
import pytest
from PIL import Image

from upnet.audit.alignment import crop_and_resize, estimate_shift, shared_region, shift_box, transform_box
from upnet.audit.candidates import Box


def _near(a: Box, b: Box, tolerance: float) -> bool:
    return bool(np.allclose(a, b, atol=tolerance))


def test_transforming_a_box_there_and_back_is_the_identity() -> None:
    part, onto, whole = (2.0, 3.0, 10.0, 9.0), (5.0, 1.0, 21.0, 25.0), (0.0, 0.0, 20.0, 30.0)
    mapped = transform_box(whole, source=part, target=onto)
    assert _near(transform_box(part, source=whole, target=mapped), onto, 1e-9)
    assert _near(transform_box(mapped, source=onto, target=part), whole, 1e-9)


def test_the_shared_region_of_two_images() -> None:
    regions = shared_region((-10.0, 20.0, 30.0, 100.0), (40, 20), (60, 50))
    assert regions is not None
    assert regions == ((5.0, 0.0, 20.0, 20.0), (0.0, 20.0, 30.0, 60.0))
    assert shared_region((60.0, 0.0, 80.0, 10.0), (40, 20), (60, 50)) is None


@pytest.mark.parametrize("off", [(0.3, -0.2, 0.3, -0.2), (1.2, 0.8, 1.2, 0.8), (-0.5, 0.25, 0.5, -0.25)])
def test_a_moved_box_comes_back_within_a_fiftieth_of_a_pixel(off: Box, photographs: dict[str, np.ndarray]) -> None:
    picture = Image.fromarray(photographs["coffee"]).convert("L")
    true = (40.0, 40.0, 240.0, 200.0)
    size = (80, 100)
    fixed = crop_and_resize(picture, true, size)
    box: Box = (true[0] + 2 * off[0], true[1] + 2 * off[1], true[2] + 2 * off[2], true[3] + 2 * off[3])
    for _ in range(5):
        box = shift_box(box, estimate_shift(fixed, crop_and_resize(picture, box, size), 1.0), size)
    assert _near(box, true, 2 * 0.02)
