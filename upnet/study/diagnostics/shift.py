"""Equivariance to shifts: PSNR between the shifted output and the output of the shifted input.

Shape legend: h, w LR pixels; s scale.
"""

from fractions import Fraction

import torch
from torch import Tensor

from upnet.imaging.imresize import imresize
from upnet.metrics import psnr
from upnet.study.diagnostics.base import ShiftDiagnostic
from upnet.study.diagnostics.methods import UpscalingMethod

CENTRE = 128
"""Largest side, in LR pixels, of the central part of an image that is used; it limits the computing time."""


class ShiftWhole(ShiftDiagnostic):
    """PSNR between the output for the image shifted by one LR pixel in both axes and the output shifted by s pixels.

    Interpolations and networks on the LR grid are equivariant to such shifts: only the rounding of float32 remains,
    which gives 120 dB or more, or inf. Networks with pooling are equivariant only to multiples of their stride.

    >>> from upnet.metrics.baseline import bilinear
    >>> bilinear_2x = UpscalingMethod(lambda image: bilinear(image, 2), scale=2)
    >>> lr = torch.rand(3, 48, 48)
    >>> ShiftWhole().compute_for_method(bilinear_2x, torch.empty(3, 96, 96), lr)
    inf
    """

    name = "shift_whole"
    heading = "shift by an LR pixel"
    unit = "dB"
    better = "higher"
    formula = (
        "10·log10(1 / mean((f(T₁ x) − T_s f(x))²)) in Y, x: the central 128×128 LR pixels at most, f: the method, "
        "T_d: shift by d pixels in both axes; borders excluded by the receptive radius, a quarter of the side at most"
    )
    source = (
        "Zhang, Making Convolutional Networks Shift-Invariant Again, https://arxiv.org/abs/1904.11486; in dB as EQ-T "
        "of Karras et al., Alias-Free Generative Adversarial Networks, https://arxiv.org/abs/2106.12423"
    )

    def compute_for_method(self, method: UpscalingMethod, target: Tensor, lr: Tensor) -> float:
        """In dB. The target is not used."""
        small = _central(lr, CENTRE)
        original, shifted = method.upscaled_luma(small[:, :-1, :-1]), method.upscaled_luma(small[:, 1:, 1:])
        return _psnr(original, shifted, method.scale, method)


class ShiftFraction(ShiftDiagnostic):
    """PSNR as in ShiftWhole for a shift of one output pixel, 1/s of an LR pixel: flicker where a scene moves slowly.

    The HR image is shifted and both versions are downscaled. The aliasing of the downscaling contributes, so that even
    an ideal interpolation has a finite value on photographs.

    >>> from upnet.metrics.baseline import bilinear
    >>> bilinear_2x = UpscalingMethod(lambda image: bilinear(image, 2), scale=2)
    >>> hr = torch.zeros(3, 64, 64)
    >>> hr[:, :, 32:] = 1  # an edge
    >>> round(ShiftFraction().compute_for_method(bilinear_2x, hr, torch.empty(3, 32, 32)), 1)
    33.2
    """

    name = "shift_fraction"
    heading = "shift by an output pixel"
    unit = "dB"
    better = "higher"
    formula = (
        "10·log10(1 / mean((f(↓T₁ HR) − T₁ f(↓HR))²)) in Y, HR: the central 128·s pixels at most, f: the method, "
        "T₁: shift by one HR pixel in both axes, ↓: MATLAB's bicubic imresize by 1/s, not rounded; borders as in "
        "shift_whole"
    )
    source = ShiftWhole.source

    def compute_for_method(self, method: UpscalingMethod, target: Tensor, lr: Tensor) -> float:
        """In dB. LR is not used."""
        scale = method.scale
        hr = _central(target, CENTRE * scale)
        hr = hr.double() / 255 if hr.dtype == torch.uint8 else hr.double()
        rows, cols = ((length - 1) // scale * scale for length in hr.shape[1:])
        views = (hr[:, :rows, :cols], hr[:, 1 : rows + 1, 1 : cols + 1])
        downscaled: list[Tensor] = [imresize(view, Fraction(1, scale)) for view in views]
        return _psnr(method.upscaled_luma(downscaled[0]), method.upscaled_luma(downscaled[1]), 1, method)


def _psnr(original: Tensor, shifted: Tensor, pixels: int, method: UpscalingMethod) -> float:
    """PSNR of two (H, W), where an equivariant method has shifted[o] = original[o + pixels]."""
    original, shifted = original[pixels:, pixels:], shifted[:-pixels, :-pixels]
    quarter = min(original.shape) // 4
    # The outermost two LR pixels depend on how downscaling extends the image beyond its border.
    edge = min(method.scale * (method.radius + 2), quarter)
    inner = slice(edge, -edge if edge else None)
    return psnr(original[None, inner, inner], shifted[None, inner, inner], peak=1.0)


def _central(image: Tensor, side: int) -> Tensor:
    """The central part of (C, H, W), at most `side` pixels on each side."""
    rows, cols = (max(0, (length - side) // 2) for length in image.shape[1:])
    return image[:, rows : rows + side, cols : cols + side]
