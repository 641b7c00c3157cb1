"""Alignment of boxes: the original position of a shifted and stretched box is estimated."""

import numpy as np
import pytest
from PIL import Image

from upnet.audit.alignment import crop_and_resize, estimate_shift, shared_region, shift_box, transform_box
from upnet.audit.candidates import Box


def _is_close(a: Box, b: Box, tolerance: float) -> bool:
    return bool(np.allclose(a, b, atol=tolerance))


def test_transforming_a_box_and_back_is_the_identity() -> None:
    source_box, target_box, image_box = (2.0, 3.0, 10.0, 9.0), (5.0, 1.0, 21.0, 25.0), (0.0, 0.0, 20.0, 30.0)
    mapped = transform_box(image_box, source=source_box, target=target_box)
    assert _is_close(transform_box(source_box, source=image_box, target=mapped), target_box, 1e-9)
    assert _is_close(transform_box(mapped, source=target_box, target=source_box), image_box, 1e-9)


def test_shared_region_gives_the_overlap_in_both_images() -> None:
    regions = shared_region((-10.0, 20.0, 30.0, 100.0), (40, 20), (60, 50))
    assert regions is not None
    assert regions == ((5.0, 0.0, 20.0, 20.0), (0.0, 20.0, 30.0, 60.0))
    assert shared_region((60.0, 0.0, 80.0, 10.0), (40, 20), (60, 50)) is None


@pytest.mark.parametrize("displacement", [(0.3, -0.2, 0.3, -0.2), (1.2, 0.8, 1.2, 0.8), (-0.5, 0.25, 0.5, -0.25)])
def test_a_shifted_box_is_aligned_within_a_fiftieth_of_a_pixel(
    displacement: Box, photographs: dict[str, np.ndarray]
) -> None:
    image = Image.fromarray(photographs["coffee"]).convert("L")
    expected = (40.0, 40.0, 240.0, 200.0)
    size = (80, 100)
    fixed = crop_and_resize(image, expected, size)
    box: Box = (
        expected[0] + 2 * displacement[0],
        expected[1] + 2 * displacement[1],
        expected[2] + 2 * displacement[2],
        expected[3] + 2 * displacement[3],
    )
    for _ in range(5):
        box = shift_box(box, estimate_shift(fixed, crop_and_resize(image, box, size), 1.0), size)
    assert _is_close(box, expected, 2 * 0.02)
