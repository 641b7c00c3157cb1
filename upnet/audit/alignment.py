"""Alignment of two images: the shift between them, and the boxes of the region that both show."""

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from upnet.audit.candidates import Box
from upnet.audit.image_ops import Size, gaussian_blur, to_tensor


class EdgeShift(NamedTuple):
    """Shift of one image against another in pixels: along x at the left and right edge, along y at top and bottom.

    A positive shift means that the content must be read from further right or further down.
    """

    left: float
    top: float
    right: float
    bottom: float


def estimate_shift(fixed: Tensor, moving: Tensor, blur: float) -> EdgeShift:
    """Estimate shift and stretch of `moving` against `fixed`, both (h, w), by one least-squares step (Lucas–Kanade).

    Lucas and Kanade, "An iterative image registration technique with an application to stereo vision" (1981,
    https://www.ijcai.org/Proceedings/81-2/Papers/017.pdf).

    blur: sigma in pixels of a Gaussian blur of both images; more blur detects larger shifts.

    >>> x = torch.arange(48.0)
    >>> wave = torch.sin(x / 6) * torch.cos(x / 5)[:, None]
    >>> round(estimate_shift(wave[:, 1:], wave[:, :-1], blur=1.0).left, 1)
    1.0
    """
    fixed, moving = (gaussian_blur(image, blur)[1:-1, 1:-1] if blur else image[1:-1, 1:-1] for image in (fixed, moving))
    mean = (fixed + moving) / 2
    gradient_x = (mean[1:-1, 2:] - mean[1:-1, :-2]) / 2
    gradient_y = (mean[2:, 1:-1] - mean[:-2, 1:-1]) / 2
    height, width = gradient_x.shape
    x = (torch.arange(width) + 0.5) / width - 0.5
    y = ((torch.arange(height) + 0.5) / height - 0.5)[:, None]
    terms = (gradient_x, gradient_x * x, gradient_y, gradient_y * y)
    columns = torch.stack([term.reshape(-1) for term in terms], dim=1).double()
    target = (fixed - moving)[1:-1, 1:-1].reshape(-1).double()
    normal = columns.T @ columns
    # Ridge regression: an image without structure along an axis gives no information, and its shift becomes zero.
    normal = normal + torch.eye(4, dtype=torch.float64) * (1e-6 * normal.diagonal().max() + 1e-9)
    shift_x, stretch_x, shift_y, stretch_y = torch.linalg.solve(normal, columns.T @ target).tolist()
    # The gradients end two pixels inside the edges.
    edge_x, edge_y = (width + 4) / width / 2, (height + 4) / height / 2
    return EdgeShift(
        shift_x - stretch_x * edge_x,
        shift_y - stretch_y * edge_y,
        shift_x + stretch_x * edge_x,
        shift_y + stretch_y * edge_y,
    )


def crop_and_resize(image: Image.Image, box: Box, size: Size) -> Tensor:
    """Crop a greyscale image to a box (in pixels) and resize it to (h, w) by Pillow's bicubic; (h, w) float32."""
    return to_tensor(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box))


def shift_box(box: Box, shift: EdgeShift, size: Size) -> Box:
    """Move the edges of a box by a shift that is measured in pixels of a resized crop of size (h, w)."""
    x, y = (box[2] - box[0]) / size[1], (box[3] - box[1]) / size[0]
    return box[0] + shift.left * x, box[1] + shift.top * y, box[2] + shift.right * x, box[3] + shift.bottom * y


def transform_box(box: Box, source: Box, target: Box) -> Box:
    """Apply to a box the scaling and translation that maps `source` to `target`.

    >>> transform_box((0, 0, 4, 4), source=(0, 0, 2, 2), target=(10, 10, 11, 11))
    (10.0, 10.0, 12.0, 12.0)
    """
    x, y = (target[2] - target[0]) / (source[2] - source[0]), (target[3] - target[1]) / (source[3] - source[1])
    return (
        target[0] + (box[0] - source[0]) * x,
        target[1] + (box[1] - source[1]) * y,
        target[2] + (box[2] - source[2]) * x,
        target[3] + (box[3] - source[3]) * y,
    )


def shared_region(box: Box, size: Size, target_size: Size) -> tuple[Box, Box] | None:
    """The region that two images share, as a box in the pixels of each; None if they share less than a pixel.

    box:         region of the target that the first image covers; it may extend beyond the target.
    size:        (h, w) of the first image.
    target_size: (H, W) of the target.
    """
    in_target = (
        max(box[0], 0.0),
        max(box[1], 0.0),
        min(box[2], float(target_size[1])),
        min(box[3], float(target_size[0])),
    )
    if in_target[2] - in_target[0] < 1 or in_target[3] - in_target[1] < 1:
        return None
    image = 0.0, 0.0, float(size[1]), float(size[0])
    in_image = transform_box(in_target, source=box, target=image)
    # Pillow rejects boxes that extend beyond the image by a rounding error.
    clamped = max(in_image[0], 0.0), max(in_image[1], 0.0), min(in_image[2], image[2]), min(in_image[3], image[3])
    return clamped, in_target
