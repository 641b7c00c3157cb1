"""Interpolation kernels (tent, Keys, Lagrange, Lanczos) and interpolation weights along one axis.

Image resizing (`upnet.imaging`), the baselines (`upnet.metrics`) and the operators (`upnet.upsample`) share them. All
use the half-pixel grid: output pixel o lies at u = (o + ½)/scale − ½ in input pixels, as with `align_corners=False`.

They differ only in the values beyond the border, which `Border` names:

| border | values beyond the border | used by |
|---|---|---|
| `replicate` | the outermost pixel, repeated | PyTorch's `interpolate`; the operators; the bilinear baseline |
| `symmetric` | the mirrored image | MATLAB's `imresize`, and so the bicubic baseline |
| `renormalize` | none; the weights inside are divided by their sum | Pillow's `resize`, and so the Lanczos baseline |
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = [
    "Border", "border_indices", "interpolation_weights",
    "keys_cubic", "keys_polynomials", "lagrange", "lanczos", "tent",
]  # fmt: skip

Border = Literal["symmetric", "replicate", "renormalize"]


def tent(distance: Tensor) -> Tensor:
    """Kernel of bilinear interpolation, 1 − |t|, zero from ±1 on; `distance` t in input pixels, any shape.

    >>> tent(torch.tensor([0.0, 0.25, -1.5])).tolist()
    [1.0, 0.75, 0.0]
    """
    return (1 - distance.abs()).clamp(min=0)


def keys_cubic(distance: Tensor, a: float = -0.5) -> Tensor:
    """Keys' cubic convolution kernel, zero from ±2 on; `distance` t in input pixels, any shape.

    a: slope at ±1. −0.5 is Keys' choice, exact for quadratics, and that of MATLAB and Pillow; −0.75 is PyTorch's.

    Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing",
    https://doi.org/10.1109/TASSP.1981.1163711

    >>> keys_cubic(torch.tensor([0.0, 0.5, 1.5, 2.5])).tolist()
    [1.0, 0.5625, -0.0625, 0.0]
    """
    t = distance.abs()
    inner, outer = keys_polynomials(t, 1, a, 1)
    return torch.where(t < 1, inner, torch.where(t < 2, outer, 0.0))


def keys_polynomials(n: Any, d: Any, numerator: float, denominator: int) -> tuple[Any, Any]:
    """The two cubics of Keys' kernel, for |t| < 1 and 1 <= |t| < 2, at t = n/d and a = numerator/denominator.

    Both are multiplied by denominator · d³, so that integers (Python's, or an object array of them) stay integers.

    >>> keys_polynomials(1, 2, -1, 2)  # 2 · 2³ times the inner cubic at t = ½, which is 0.5625
    (9, 9)
    """
    inner = ((numerator + 2 * denominator) * n - (numerator + 3 * denominator) * d) * n**2 + denominator * d**3
    outer = numerator * (((n - 5 * d) * n + 8 * d**2) * n - 4 * d**3)
    return inner, outer


def lagrange(distance: Tensor) -> Tensor:
    """Kernel of cubic Lagrange interpolation, the polynomial through the 4 nearest pixels; zero from ±2 on.

    Its derivative is not continuous. `distance` t in input pixels, any shape.

    >>> lagrange(torch.tensor([0.0, 0.5, 1.0, 1.5])).tolist()
    [1.0, 0.5625, 0.0, -0.0625]
    """
    t = distance.abs()
    inner = (1 - t**2) * (2 - t) / 2
    outer = (1 - t) * (2 - t) * (3 - t) / 6
    return torch.where(t < 1, inner, torch.where(t < 2, outer, 0.0))


def lanczos(distance: Tensor, lobes: int = 3) -> Tensor:
    """Windowed sinc, sinc(t) · sinc(t / lobes), zero from ±lobes on; `distance` t in input pixels, any shape.

    The weights of one output pixel do not sum to exactly 1; divide them by their sum.

    Source: Duchon, "Lanczos Filtering in One and Two Dimensions",
    https://doi.org/10.1175/1520-0450(1979)018%3C1016:LFIOAT%3E2.0.CO;2

    >>> lanczos(torch.tensor([0.0, 0.5, 3.5]))
    tensor([1.0000, 0.6079, 0.0000])
    """
    return torch.where(distance.abs() < lobes, torch.sinc(distance) * torch.sinc(distance / lobes), 0.0)


def border_indices(indices: Tensor, length: int, border: Border) -> Tensor:
    """Map indices, which may lie beyond the border, to the pixels of an axis that supply their values.

    indices: int64, any shape.
    length:  pixels of the axis.

    Returns indices in 0..length - 1 of the same shape. With `renormalize` pixels beyond the border have weight zero and
    the index of the outermost pixel.

    >>> border_indices(torch.arange(-2, 5), 3, "symmetric").tolist()
    [1, 0, 0, 1, 2, 2, 1]
    >>> border_indices(torch.arange(-2, 5), 3, "replicate").tolist()
    [0, 0, 0, 1, 2, 2, 2]
    """
    if border != "symmetric":
        return indices.clamp(0, length - 1)
    phase = indices % (2 * length)
    return torch.minimum(phase, 2 * length - 1 - phase)


def interpolation_weights(
    kernel: Callable[[Tensor], Tensor],
    support: int,
    length: int,
    outputs: int,
    scale: float,
    border: Border = "replicate",
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """The weights that interpolate an axis of `length` pixels to `outputs` pixels.

    kernel:  elementwise function from the distance in input pixels to the weight; zero from ±support on.
    support: half the number of input pixels per output pixel.

    Returns indices, (outputs, 2·support) int64, and weights, (outputs, 2·support) float64.

    >>> indices, weights = interpolation_weights(tent, support=1, length=2, outputs=4, scale=2)
    >>> indices.tolist()
    [[0, 0], [0, 1], [0, 1], [1, 1]]
    >>> weights.tolist()
    [[0.25, 0.75], [0.75, 0.25], [0.25, 0.75], [0.75, 0.25]]
    """
    position = (torch.arange(outputs, dtype=torch.float64, device=device) + 0.5) / scale - 0.5
    first = position.floor() - (support - 1)
    neighbours = first[:, None] + torch.arange(2 * support, device=device)
    weights = kernel(position[:, None] - neighbours)
    if border == "renormalize":
        weights = weights * ((neighbours >= 0) & (neighbours < length))
        weights = weights / weights.sum(1, keepdim=True)
    return border_indices(neighbours.long(), length, border), weights
