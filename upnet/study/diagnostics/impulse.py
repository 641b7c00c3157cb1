"""Impulse response of each output phase.

Shape legend: s scale; r output phase; D = 9 taps in each axis.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.study.diagnostics.base import SyntheticDiagnostic
from upnet.study.diagnostics.methods import UpscalingMethod

RADIUS = 4
"""The radius of the measured response, in LR pixels."""


class ImpulseResponse(SyntheticDiagnostic):
    """The kernel of each output phase: the weight of every LR pixel in an output pixel.

    It describes a linear operator completely; the phases have equal sums where constants are preserved. The input of an
    operator is a 1 among zeros, that of a network one pixel at 3/4 of the range among others at 1/4. A nonlinear method
    has other responses to other inputs.

    >>> from upnet.upsample import Bilinear
    >>> response = ImpulseResponse().compute_for_operator(Bilinear(1, 2))
    >>> response.shape, response[0, 0, 3:5, 3:5].tolist()
    (torch.Size([2, 2, 9, 9]), [[0.0625, 0.1875], [0.1875, 0.5625]])
    """

    name = "impulse_response"
    heading = "impulse response per phase"
    unit = "1"
    better = None
    formula = (
        "K[r, d] = (f(x + a·δ) − f(x))[s·(c − d) + r] / a, c: the impulse, r = (0, 0) … (s − 1, s − 1), d = (−4, −4) … "
        "(4, 4); so that y[sn + r] = Σ_d K[r, d] x[n + d] for linear operators"
    )
    source = (
        "Crochiere and Rabiner, Interpolation and decimation of digital signals: a tutorial review, 1981, "
        "https://doi.org/10.1109/PROC.1981.11969"
    )
    scalar = False

    def compute_for_method(self, method: UpscalingMethod) -> Tensor:
        """(s, s, D, D) float64: phase row, phase column, tap row, tap column."""
        scale, margin = method.scale, max(method.margin, RADIUS)
        # A multiple of the alignment, because the response of a network with pooling depends on the position.
        centre = -(-margin // method.alignment) * method.alignment
        plane = torch.full((2 * centre + 1, 2 * centre + 1), method.dark, dtype=torch.float64)
        before = method(plane)
        plane[centre, centre] = method.bright
        change = (method(plane) - before) / (method.bright - method.dark)
        phases = F.pixel_unshuffle(change[None, None], scale)[0].unflatten(0, (scale, scale))
        window = slice(centre - RADIUS, centre + RADIUS + 1)
        # For the output pixel at n the impulse is at d = centre − n, so both axes are reversed.
        return phases[..., window, window].flip(2, 3)
