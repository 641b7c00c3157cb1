"""The values that PSNR and SSIM compare: output and target as planes in 0..255, for each evaluation protocol.

Shape legend: C channels, 1 for Y and 3 for RGB; H, W pixels.
"""

from typing import Literal

import torch
from torch import Tensor

from upnet.imaging.colour import luma, rounded_luma

__all__ = ["Channel", "Grey", "ProtocolName", "compared_planes", "round_to_8bit", "y_plane"]

ProtocolName = Literal["rgb8", "y-float"]
Channel = Literal["y", "rgb"]
Grey = Literal["studio", "full"]

_HALF = torch.tensor(0.5, dtype=torch.float64)

# Rounding and luma take several passes over float64 values: bands of 2 MiB stay in the cache between passes.
_BAND_VALUES = 2**18


def compared_planes(
    output: Tensor, target: Tensor, name: ProtocolName, channel: Channel, grey: Grey
) -> tuple[Tensor, Tensor]:
    """The planes of output and target that a protocol compares, (C, H, W) float64 in 0..255.

    output: (3 or 1, H, W) floating point, nominally in [0, 1].
    target: (3 or 1, H, W) uint8 on the same device.

    name, channel and grey are those of `upnet.metrics.EvaluationProtocol`.

    >>> white = torch.ones(3, 1, 1)
    >>> planes = compared_planes(white, (255 * white).to(torch.uint8), "y-float", "y", "studio")
    >>> [plane.item() for plane in planes]
    [235.0, 235.0]
    """
    rows = output.shape[1] if output.is_cuda else max(1, _BAND_VALUES // output[:, 0].numel())
    bands = zip(output.split(rows, dim=1), target.split(rows, dim=1), strict=True)
    outputs, targets = zip(*(_band(*band, name, channel, grey) for band in bands), strict=True)
    return torch.cat(outputs, dim=1), torch.cat(targets, dim=1)


def y_plane(image: Tensor, grey: Grey) -> Tensor:
    """Y rounded to integers: (3 or 1, H, W) uint8 -> (1, H, W) float64.

    >>> y_plane(torch.full((1, 1, 1), 255, dtype=torch.uint8), "studio").item()
    235.0
    """
    return rounded_luma(image) if len(image) == 3 else _round_half_up(_y(image.to(torch.float64), True, grey))


def round_to_8bit(output: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to 256 levels, halves up: float64 integers in 0..255.

    >>> round_to_8bit(torch.tensor([-0.1, 0.5, 1.2])).tolist()
    [0.0, 128.0, 255.0]
    """
    # Clamping first runs on float32, half as many bytes; the product with 255 is exact in float64.
    values = output.clamp(0, 1).to(torch.float64)
    return torch.add(_HALF, values, alpha=255, out=values).floor_()


def _band(output: Tensor, target: Tensor, name: ProtocolName, channel: Channel, grey: Grey) -> tuple[Tensor, Tensor]:
    """`compared_planes` of some rows."""
    grey_target = len(target) == 1
    if name == "y-float":
        values = output.to(torch.float64, copy=True).mul_(255)
        plane = values if len(values) == 1 else _y(values, grey_target, grey)
        return _round_half_up(plane).clamp_(0, 255), y_plane(target, grey)
    rounded, exact = round_to_8bit(output), target.to(torch.float64)
    if channel == "rgb":
        return rounded, exact.expand_as(rounded)
    return _y(rounded, grey_target, grey), _y(exact, grey_target, grey)


def _y(image: Tensor, grey_target: bool, grey: Grey) -> Tensor:
    """Y, not rounded: (3 or 1, H, W) float64 in 0..255 -> (1, H, W).

    grey_target: whether the target has one channel, so that `grey` applies.
    """
    if len(image) == 1:
        return image if grey == "full" else 16 + image * (219 / 255)
    studio = luma(image, white=255)
    return (studio - 16) * (255 / 219) if grey_target and grey == "full" else studio


def _round_half_up(image: Tensor) -> Tensor:
    """Round non-negative values in place as MATLAB does: halves go up, not to the even neighbour."""
    return image.add_(0.5).floor_()
