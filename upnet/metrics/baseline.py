"""Baselines: upscaling by a fixed interpolation, and the downscaling that makes LR images."""

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from upnet.imaging.imresize import Border, imresize
from upnet.utils import interpolation_kernels as kernels
from upnet.utils.errors import UserError

__all__ = ["BASELINES", "bicubic", "bilinear", "downscale", "lanczos", "nearest"]


def nearest(lr: Tensor, scale: int) -> Tensor:
    """Nearest-neighbour interpolation: each pixel becomes a block of scale × scale pixels.

    lr: (C, h, w), uint8 or floating point in [0, 1]. Returns (C, scale·h, scale·w) float64 in [0, 1].

    >>> nearest(torch.tensor([[[0, 255]]], dtype=torch.uint8), 2).tolist()
    [[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]]
    """
    return _in_float64(lr, lambda x: x.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1))


def bilinear(lr: Tensor, scale: int) -> Tensor:
    """Bilinear interpolation as PyTorch's (align_corners=False), border `replicate`, as `upnet.upsample.Bilinear`.

    lr: (C, h, w), uint8 or floating point in [0, 1]. Returns (C, scale·h, scale·w) float64 in [0, 1].

    >>> bilinear(torch.tensor([[[0.0, 1.0]]]), 2)[0, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    return _in_float64(lr, lambda x: _separable(x, scale, kernels.tent, 1, "replicate"))


def bicubic(lr: Tensor, scale: float | Fraction) -> Tensor:
    """Bicubic interpolation as MATLAB's `imresize`, border `symmetric` (mirrored).

    The operator `upnet.upsample.Bicubic` uses the same kernel with the border `replicate`: the two differ within two LR
    pixels of the border.

    lr: (C, h, w), uint8 or floating point in [0, 1].

    Returns (C, H, W) float64. Values overshoot [0, 1] near edges; they are neither clamped nor rounded, which
    `EvaluationProtocol.evaluate` does. Raises ValueError for other dtypes.

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981,
    https://doi.org/10.1109/TASSP.1981.1163711

    >>> bicubic(torch.full((3, 8, 8), 0.5), 2).shape
    torch.Size([3, 16, 16])
    """
    return _in_float64(lr, lambda x: imresize(x, scale))


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Lanczos interpolation with three lobes as Pillow's, border `renormalize`.

    lr: (C, h, w), uint8 or floating point in [0, 1].

    Returns (C, scale·h, scale·w) float64; values overshoot [0, 1] near edges. The operator `upnet.upsample.Lanczos`
    uses the same kernel with the border `replicate`: the two differ within three LR pixels of the border.

    Source: Duchon, "Lanczos Filtering in One and Two Dimensions", 1979,
    https://doi.org/10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2

    >>> lanczos(torch.full((3, 8, 8), 0.5), 3).shape
    torch.Size([3, 24, 24])
    """
    return _in_float64(lr, lambda x: _separable(x, scale, kernels.lanczos, 3, "renormalize"))


BASELINES: dict[str, Callable[[Tensor, int], Tensor]] = {
    function.__name__: function for function in (nearest, bilinear, bicubic, lanczos)
}
"""Name -> function from (C, h, w), uint8 or in [0, 1], and scale to (C, scale·h, scale·w) float64, not clamped."""


def downscale(hr: Tensor, scale: int, border: Border = "symmetric") -> tuple[Tensor, Tensor]:
    """Make the LR image of an HR image by MATLAB's bicubic `imresize`.

    hr: (C, H, W). It is cropped at the bottom and right to a multiple of the scale, as in the benchmarks.

    Returns LR (C, h, w) and the cropped HR (C, scale·h, scale·w). uint8 is rounded as in MATLAB, floating point is
    not. Raises UserError where the image is smaller than one LR pixel.

    >>> lr, hr = downscale(torch.zeros(3, 9, 7, dtype=torch.uint8), 2)
    >>> lr.shape, hr.shape
    (torch.Size([3, 4, 3]), torch.Size([3, 8, 6]))
    """
    h, w = hr.shape[-2] // scale, hr.shape[-1] // scale
    if min(h, w) < 1:
        raise UserError(
            f"an image of {hr.shape[-2]}x{hr.shape[-1]} pixels is smaller than one LR pixel at scale {scale}",
            cure="Use larger images",
        )
    hr = hr[..., : h * scale, : w * scale]
    return imresize(hr, Fraction(1, scale), border), hr


def _in_float64(lr: Tensor, upscale: Callable[[Tensor], Tensor]) -> Tensor:
    """Upscale in float64; uint8 is divided by 255 afterwards, so that sums of integers stay exact."""
    if lr.dtype != torch.uint8 and not lr.is_floating_point():
        raise ValueError(f"a baseline's image must be uint8, or floating point in [0, 1]; got {lr.dtype}")
    upscaled = upscale(lr.to(torch.float64))
    return upscaled / 255 if lr.dtype == torch.uint8 else upscaled


def _separable(
    x: Tensor, scale: int, kernel: Callable[[Tensor], Tensor], support: int, border: kernels.Border
) -> Tensor:
    """Interpolate both axes with a kernel that is zero beyond ±support pixels: (C, h, w) -> (C, scale·h, scale·w)."""
    for axis in (1, 2):
        length = x.shape[axis]
        indices, weights = kernels.interpolation_weights(
            kernel, support, length, scale * length, scale, border, x.device
        )
        column = (-1, 1) if axis == 1 else (-1,)
        terms = (x.index_select(axis, i) * w.view(column) for i, w in zip(indices.T, weights.T, strict=True))
        x = torch.stack(list(terms)).sum(0)
    return x
