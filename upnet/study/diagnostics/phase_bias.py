"""Fraction of the squared error that is a constant offset per output phase."""

import torch.nn.functional as F
from torch import Tensor

from upnet.study.diagnostics.base import ImageDiagnostic
from upnet.study.diagnostics.power_spectrum import luma_pair


class PhaseBias(ImageDiagnostic):
    """The fraction of the squared error that is a constant offset per output phase: 0 … 1.

    0: all s² phases have the same mean error; errors independent of the phase give up to about s²/pixels. 1: the error
    is a periodic pattern of s × s pixels. An output equal to its target has 0.

    >>> import torch
    >>> target, lr = torch.zeros(1, 16, 16), torch.zeros(1, 8, 8)
    >>> output = target.clone()
    >>> output[:, ::2, ::2] = 0.1
    >>> round(PhaseBias().compute_for_image(output, target, lr, scale=2), 3)
    0.75
    """

    name = "phase_bias"
    heading = "error phase bias"
    unit = "1"
    better = "lower"
    formula = "B = Var_r(mean over n of e[sn + r]) / mean(e²), e = output − target in Y, crop s"
    source = (
        "after the patterns of Odena, Dumoulin and Olah, Deconvolution and Checkerboard Artifacts, 2016, "
        "https://distill.pub/2016/deconv-checkerboard/"
    )

    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """B of one image."""
        upscaled, hr = luma_pair(output, target, scale)
        error = upscaled - hr
        phases = F.pixel_unshuffle(error[None, None], scale).mean((2, 3))
        squared = float(error.square().mean())
        return float(phases.var(correction=0)) / squared if squared else 0.0
