"""Laying one picture over another: the box that it fills there, found by least squares from the gradients.

Lucas and Kanade, "An iterative image registration technique with an application to stereo vision" (1981,
https://www.ijcai.org/Proceedings/81-2/Papers/017.pdf), for the four numbers of a box: an offset and a stretch per axis.
"""

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from upnet.data.audit.plane import as_plane, blurred

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels from the picture's top left corner."""


class Step(NamedTuple):
    """How far a picture lies beside another, in pixels: along x at its left and right edge, along y at top and bottom.

    A positive shift means that its content has to be fetched from further right or below.
    """

    left: float
    top: float
    right: float
    bottom: float


def misfit(fixed: Tensor, moving: Tensor, blur: float) -> Step:
    """The shift of `moving` against `fixed`, (h, w) both, by one step of least squares.

    blur: sigma in pixels of a blur that both get, which widens the range of shifts that are found.
    """
    fixed, moving = (blurred(plane, blur)[1:-1, 1:-1] if blur else plane[1:-1, 1:-1] for plane in (fixed, moving))
    mean = (fixed + moving) / 2
    gx = (mean[1:-1, 2:] - mean[1:-1, :-2]) / 2
    gy = (mean[2:, 1:-1] - mean[:-2, 1:-1]) / 2
    height, width = gx.shape
    x = (torch.arange(width) + 0.5) / width - 0.5
    y = ((torch.arange(height) + 0.5) / height - 0.5)[:, None]
    columns = torch.stack([part.reshape(-1) for part in (gx, gx * x, gy, gy * y)], dim=1).double()
    target = (fixed - moving)[1:-1, 1:-1].reshape(-1).double()
    normal = columns.T @ columns
    # A ridge: a picture without structure along an axis says nothing about it, and that means no shift.
    normal = normal + torch.eye(4, dtype=torch.float64) * (1e-6 * normal.diagonal().max() + 1e-9)
    a, b, c, d = torch.linalg.solve(normal, columns.T @ target).tolist()
    # The fit ends two pixels inside the edges.
    reach_x, reach_y = (width + 4) / width / 2, (height + 4) / height / 2
    return Step(a - b * reach_x, c - d * reach_y, a + b * reach_x, c + d * reach_y)


def cut(image: Image.Image, box: Box, size: tuple[int, int]) -> Tensor:
    """The box of a picture, reduced or enlarged to size (h, w) by Pillow's antialiased bicubic; (h, w) float32."""
    return as_plane(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box))


def moved(box: Box, step: Step, size: tuple[int, int]) -> Box:
    """The box that fits better, after a misfit seen in size (h, w) pixels of it."""
    x, y = (box[2] - box[0]) / size[1], (box[3] - box[1]) / size[0]
    return box[0] + step.left * x, box[1] + step.top * y, box[2] + step.right * x, box[3] + step.bottom * y


def extended(part: Box, onto: Box, whole: Box) -> Box:
    """Where `whole` comes to lie if its `part` comes to lie on `onto`."""
    x, y = (onto[2] - onto[0]) / (part[2] - part[0]), (onto[3] - onto[1]) / (part[3] - part[1])
    return (
        onto[0] + (whole[0] - part[0]) * x,
        onto[1] + (whole[1] - part[1]) * y,
        onto[2] + (whole[2] - part[2]) * x,
        onto[3] + (whole[3] - part[3]) * y,
    )


def common(box: Box, size: tuple[int, int], bounds: tuple[int, int]) -> tuple[Box, Box] | None:
    """A picture of size (h, w) fills a box of one of bounds (H, W): what both show, in the pixels of each, or None."""
    inside = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(bounds[1])), min(box[3], float(bounds[0]))
    if inside[2] - inside[0] < 1 or inside[3] - inside[1] < 1:
        return None
    whole = 0.0, 0.0, float(size[1]), float(size[0])
    own = extended(box, whole, inside)
    # A rounding error outside would be refused by Pillow.
    return (max(own[0], 0.0), max(own[1], 0.0), min(own[2], whole[2]), min(own[3], whole[3])), inside
