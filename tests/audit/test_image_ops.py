"""Orientations of images, tensors and points agree; contrast normalisation ignores brightness and contrast."""

import numpy as np
import pytest
import torch
from PIL import Image

from upnet.audit.image_ops import (
    gaussian_blur,
    normalise_contrast,
    reorient_image,
    reorient_points,
    reorient_tensor,
    to_tensor,
)


@pytest.mark.parametrize("orientation", range(8))
def test_images_tensors_and_points_are_reoriented_consistently(orientation: int) -> None:
    plane = torch.zeros(7, 11)
    plane[2, 3] = 255
    image = to_tensor(reorient_image(Image.fromarray(plane.numpy().astype(np.uint8)), orientation))
    y, x = (int(value) for value in image.nonzero()[0])
    reoriented_x, reoriented_y, size = reorient_points(torch.tensor([3.5]), torch.tensor([2.5]), (7, 11), orientation)
    assert (float(reoriented_x), float(reoriented_y)) == (x + 0.5, y + 0.5)
    assert size == tuple(image.shape)
    assert torch.equal(reorient_tensor(plane, orientation), image)


def test_the_eight_orientations_are_distinct() -> None:
    square = torch.arange(9.0).reshape(3, 3)
    assert len({tuple(reorient_tensor(square, orientation).flatten().tolist()) for orientation in range(8)}) == 8


def test_gaussian_blur_preserves_constants_and_has_the_variance_of_sigma() -> None:
    assert torch.allclose(gaussian_blur(torch.full((20, 30), 7.0), 3.0), torch.tensor(7.0))
    point = torch.zeros(61, 61)
    point[30, 30] = 1
    blurred = gaussian_blur(point, 4.0)
    offset = torch.arange(61.0) - 30
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    # The kernel ends at three sigma, which reduces the variance slightly.
    assert float((blurred.sum(0) * offset**2).sum()) == pytest.approx(16, rel=0.03)


def test_contrast_normalisation_ignores_brightness_and_contrast() -> None:
    plane = torch.rand(40, 50, generator=torch.Generator().manual_seed(0)) * 200
    assert torch.allclose(normalise_contrast(plane + 30), normalise_contrast(plane), atol=1e-3)
    assert torch.allclose(normalise_contrast(plane * 0.7, floor=0), normalise_contrast(plane, floor=0), atol=1e-3)
