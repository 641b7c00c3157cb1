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


@pytest.mark.parametrize("turn", range(8))
def test_images_tensors_and_points_are_reoriented_alike(turn: int) -> None:
    plane = torch.zeros(7, 11)
    plane[2, 3] = 255
    picture = to_tensor(reorient_image(Image.fromarray(plane.numpy().astype(np.uint8)), turn))
    y, x = (int(value) for value in picture.nonzero()[0])
    at_x, at_y, size = reorient_points(torch.tensor([3.5]), torch.tensor([2.5]), (7, 11), turn)
    assert (float(at_x), float(at_y)) == (x + 0.5, y + 0.5)
    assert size == tuple(picture.shape)
    assert torch.equal(reorient_tensor(plane, turn), picture)


def test_the_eight_orientations_are_different() -> None:
    square = torch.arange(9.0).reshape(3, 3)
    assert len({tuple(reorient_tensor(square, turn).flatten().tolist()) for turn in range(8)}) == 8


def test_a_blur_keeps_constants_and_spreads_a_point_by_its_sigma() -> None:
    assert torch.allclose(gaussian_blur(torch.full((20, 30), 7.0), 3.0), torch.tensor(7.0))
    point = torch.zeros(61, 61)
    point[30, 30] = 1
    spread = gaussian_blur(point, 4.0)
    place = torch.arange(61.0) - 30
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    # The taps end at three sigma, which takes a little of the variance.
    assert float((spread.sum(0) * place**2).sum()) == pytest.approx(16, rel=0.03)


def test_contrast_normalisation_ignores_brightness_and_contrast() -> None:
    plane = torch.rand(40, 50, generator=torch.Generator().manual_seed(0)) * 200
    assert torch.allclose(normalise_contrast(plane + 30), normalise_contrast(plane), atol=1e-3)
    assert torch.allclose(normalise_contrast(plane * 0.7, floor=0), normalise_contrast(plane, floor=0), atol=1e-3)
