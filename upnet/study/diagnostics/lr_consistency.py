"""PSNR of the downscaled output against the LR input."""

from fractions import Fraction

from torch import Tensor

from upnet.imaging.imresize import imresize
from upnet.metrics import psnr
from upnet.study.diagnostics.base import ImageDiagnostic
from upnet.study.diagnostics.methods import luma_plane
from upnet.utils.errors import UserError

# LR pixels at each side whose downscaling kernel extends beyond the border of the output.
_BORDER = 2


class LRConsistency(ImageDiagnostic):
    """PSNR of the downscaled output against the LR input; inf where they are equal.

    Where LR was rounded to 8 bits, even the HR image has at most about 64 dB. The value is meaningful only where LR was
    made by bicubic downscaling with antialiasing.

    >>> import torch
    >>> from upnet.metrics import downscale
    >>> lr, hr = downscale(torch.rand(3, 32, 32, dtype=torch.float64), scale=2)
    >>> LRConsistency().compute_for_image(hr, hr, lr, scale=2) > 150
    True
    """

    name = "lr_consistency"
    heading = "LR consistency"
    unit = "dB"
    better = "higher"
    formula = (
        "10·log10(1 / mean((↓output − LR)²)) in Y, ↓: MATLAB's bicubic imresize by 1/s, nothing rounded; 2 LR pixels "
        "excluded at each side, where the kernel extends beyond the border"
    )
    source = (
        "Lugmayr et al., SRFlow: Learning the Super-Resolution Space with Normalizing Flow, "
        "https://arxiv.org/abs/2006.14200, where it is called LR-PSNR"
    )

    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """In dB. Raises UserError where output and LR don't match in size, or LR has 4 pixels or fewer on a side."""
        upscaled, small = luma_plane(output), luma_plane(lr)
        if upscaled.shape != (small.shape[0] * scale, small.shape[1] * scale) or min(small.shape) <= 2 * _BORDER:
            raise UserError(
                f"lr_consistency: an output of {upscaled.shape[0]}×{upscaled.shape[1]} pixels does not match an LR "
                f"image of {small.shape[0]}×{small.shape[1]}",
                allowed=f"an output {scale} times as large as LR, and LR larger than {2 * _BORDER} pixels on each side",
            )
        downscaled = imresize(upscaled, Fraction(1, scale))
        inner = slice(_BORDER, -_BORDER)
        return psnr(downscaled[None, inner, inner], small[None, inner, inner], peak=1.0)
