"""Whether an output, reduced again, is the picture it was made from."""

from fractions import Fraction

from torch import Tensor

from upnet.imaging.imresize import imresize
from upnet.metrics import psnr
from upnet.study.diagnostics.base import ImageDiagnostic
from upnet.study.diagnostics.methods import luma_plane

# LR pixels at each side whose reduction looks beyond the border of the output.
_BORDER = 2


class LRConsistency(ImageDiagnostic):
    """PSNR of the reduced output against the LR picture.

    Not even the HR picture has more than about 64 dB where LR was rounded to 8 bits, and none where it was made by
    another reduction than bicubic with antialiasing. inf where nothing is left of a difference.
    """

    name = "lr_consistency"
    heading = "LR consistency"
    unit = "dB"
    better = "higher"
    formula = (
        "10·log10(1 / mean((↓output − LR)²)) in Y, ↓: MATLAB's bicubic imresize by 1/s, nothing rounded; 2 LR pixels "
        "left out at each side, which are made of what lies beyond the border"
    )
    source = (
        "Lugmayr et al., SRFlow: Learning the Super-Resolution Space with Normalizing Flow, "
        "https://arxiv.org/abs/2006.14200, where it is called LR-PSNR"
    )

    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """In dB. Raises ValueError where output and LR don't fit together, or LR has 4 pixels or fewer on a side."""
        made, small = luma_plane(output), luma_plane(lr)
        if made.shape != (small.shape[0] * scale, small.shape[1] * scale) or min(small.shape) <= 2 * _BORDER:
            raise ValueError(
                f"lr_consistency: an output of {made.shape[0]}×{made.shape[1]} takes an LR picture of a {scale}th of "
                f"that and more than {2 * _BORDER} pixels a side; got {small.shape[0]}×{small.shape[1]}"
            )
        reduced = imresize(made, Fraction(1, scale))
        kept = slice(_BORDER, -_BORDER)
        return psnr(reduced[None, kept, kept], small[None, kept, kept], peak=1.0)
