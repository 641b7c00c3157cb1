"""Whether some output phases err to one side."""

import torch.nn.functional as F
from torch import Tensor

from upnet.study.diagnostics.base import ImageDiagnostic
from upnet.study.diagnostics.power_spectrum import luma_pair


class PhaseBias(ImageDiagnostic):
    """The share of the squared error that is a fixed offset per output phase, the same all over the picture: 0 … 1.

    0 where the mean error of all s² phases is the same, as it is where errors know nothing of phases, up to about
    s²/pixels; 1 where the whole error is one pattern of s × s pixels, repeated. A picture that equals its target has 0.
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
        """B of one picture."""
        made, true = luma_pair(output, target, scale)
        error = made - true
        phases = F.pixel_unshuffle(error[None, None], scale).mean((2, 3))
        squared = float(error.square().mean())
        return float(phases.var(correction=0)) / squared if squared else 0.0
