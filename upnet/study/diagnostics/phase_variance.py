"""The checkerboard on a picture in which there is nothing.

Shape legend: h, w LR pixels; s scale; P period of the pattern in output pixels; C, O channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.study.diagnostics.base import SyntheticDiagnostic
from upnet.study.diagnostics.methods import UNKNOWN_RADIUS, UpscalingMethod, check_operator
from upnet.upsample import Upsampler

# The levels that a network is shown. Its own grey is among them, where nothing but biases is left.
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
# How many periods are looked at.
_PERIODS = 4


class PhaseVariance(SyntheticDiagnostic):
    """The share of the output's power on a constant input that is variance over output phases: 0 … 1.

    0 is a constant; at random weights a transposed convolution has 1 − 1/s² in expectation, whether or not the scale
    divides its kernel, and so has a convolution with a pixel shuffle. Interpolations, resize-convolutions and ICNR have
    0. That k is a multiple of s removes the uneven overlap, not the difference between sub-kernels; no linear operator
    is free of it unless its response is zero at all multiples of 2π/s, and biases are equal over phases.

    A network is shown five greys, and its phases are those of the period of all it does, s times its alignment: what
    pools on its way can make coarser boards. An operator is shown a constant in each of its C channels in turn.
    """

    name = "phase_variance"
    heading = "phase variance on constants"
    unit = "1"
    better = "lower"
    formula = "Σ Var_r(m[r]) / Σ mean_r(m[r]²), with m[r] = mean over n of y[Pn + r], summed over constant inputs"
    source = (
        "Odena, Dumoulin and Olah, Deconvolution and Checkerboard Artifacts, 2016, "
        "https://distill.pub/2016/deconv-checkerboard/; Aitken et al., Checkerboard artifact free sub-pixel "
        "convolution, https://arxiv.org/abs/1707.02937; the condition: Sugawara, Shiota and Kiya, Checkerboard "
        "artifacts free convolutional neural networks, 2019, https://doi.org/10.1017/ATSIP.2019.2"
    )

    def compute_for_method(self, method: UpscalingMethod) -> float:
        """The share, 0 … 1, over five greys."""
        return phase_variance(torch.stack([phase_pattern(method, level) for level in LEVELS]))

    @torch.no_grad()
    def compute_for_operator(self, operator: Upsampler) -> float:
        """The share, over a constant in each of the C channels; of any number of channels, unlike other diagnostics.

        Raises ValueError where it reads what pooling left, or has a fractional scale.
        """
        check_operator(operator)
        margin = UNKNOWN_RADIUS if operator.receptive_radius is None else operator.receptive_radius
        # As much power as a 1 in all channels would have, so that a bias counts as it does there.
        constants = operator.channels**0.5 * torch.eye(operator.channels, dtype=torch.float64)
        weight = next(operator.parameters(), constants)
        side = 2 * margin + _PERIODS
        flat = constants.to(weight)[:, :, None, None].expand(-1, -1, side, side)
        return phase_variance(
            _phases(operator.upsample_full(flat).double().cpu(), int(operator.scale), int(operator.scale) * margin)
        )


def phase_pattern(method: UpscalingMethod, level: float) -> Tensor:
    """What a constant of a level in [0, 1] becomes, one period of it: (P, P) float64, a mean over periods."""
    side = 2 * method.margin + _PERIODS * method.alignment
    output = method(torch.full((side, side), level, dtype=torch.float64))
    return _phases(output[None, None], method.period, method.scale * method.margin)[0, 0]


def phase_variance(patterns: Tensor) -> float:
    """Variance within patterns, (…, P, P), over their power; 0 where there is no power."""
    flat = patterns.flatten(-2)
    power = float(flat.square().mean())
    return float(flat.var(-1, correction=0).mean()) / power if power else 0.0


def _phases(output: Tensor, period: int, margin: int) -> Tensor:
    """(N, O, H, W) -> (N, O, P, P): the mean of each phase, `margin` output pixels left out at each side."""
    kept = output[..., margin : output.shape[-2] - margin, margin : output.shape[-1] - margin]
    return F.pixel_unshuffle(kept, period).mean((2, 3)).unflatten(1, (output.shape[1], period, period))
