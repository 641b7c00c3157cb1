"""Checkerboard energy on a constant input.

Shape legend: h, w LR pixels; s scale; P period of the pattern in output pixels; C, O channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.study.diagnostics.base import SyntheticDiagnostic
from upnet.study.diagnostics.methods import UNKNOWN_RADIUS, UpscalingMethod, check_operator
from upnet.upsample import Upsampler

# Constant inputs of a network. Its internal zero, mid-grey, is one of them: there only biases have an effect.
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
# The pattern is averaged over this many periods in each axis.
_PERIODS = 4


class PhaseVariance(SyntheticDiagnostic):
    """Checkerboard energy on a constant input: the fraction of the output's power that varies over phases, 0 … 1.

    0: the output is constant, as of interpolations, resize-convolutions and ICNR. With random weights a transposed
    convolution has an expected value of 1 − 1/s², whether or not s divides its kernel size, and so has a convolution
    with a pixel shuffle. A kernel size divisible by s avoids uneven overlap, but not differences between sub-kernels. A
    linear operator has 0 only if its frequency response is zero at all nonzero multiples of 2π/s and its biases are
    equal over phases.

    The inputs of a network are five grey levels, and its phases are those of its period, s times its alignment, because
    pooling can cause coarser patterns. The inputs of an operator are a constant in each of its C channels in turn.
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
        """The fraction over five grey levels."""
        return phase_variance(torch.stack([phase_pattern(method, level) for level in LEVELS]))

    @torch.no_grad()
    def compute_for_operator(self, operator: Upsampler) -> float:
        """The fraction over a constant in each of the C channels. C is arbitrary, unlike in other diagnostics.

        Raises UserError where the operator reads encoder features or has a fractional scale.

        >>> from upnet.upsample import BedOfNails, Bilinear
        >>> PhaseVariance().compute_for_operator(BedOfNails(1, 2)), PhaseVariance().compute_for_operator(Bilinear(1, 2))
        (0.75, 0.0)
        """
        check_operator(operator)
        margin = UNKNOWN_RADIUS if operator.receptive_radius is None else operator.receptive_radius
        # The same power as a 1 in all channels, so that biases have the same weight.
        constants = operator.channels**0.5 * torch.eye(operator.channels, dtype=torch.float64)
        weight = next(operator.parameters(), constants)
        side = 2 * margin + _PERIODS
        flat = constants.to(weight)[:, :, None, None].expand(-1, -1, side, side)
        return phase_variance(
            _phases(operator.upsample_full(flat).double().cpu(), int(operator.scale), int(operator.scale) * margin)
        )


def phase_pattern(method: UpscalingMethod, level: float) -> Tensor:
    """One period of the output for a constant input: (P, P) float64, averaged over periods. level: in [0, 1].

    >>> from upnet.upsample import BedOfNails
    >>> phase_pattern(UpscalingMethod.from_operator(BedOfNails(1, 2)), 0.5).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    side = 2 * method.margin + _PERIODS * method.alignment
    output = method(torch.full((side, side), level, dtype=torch.float64))
    return _phases(output[None, None], method.period, method.scale * method.margin)[0, 0]


def phase_variance(patterns: Tensor) -> float:
    """Variance within patterns (…, P, P) divided by their power; 0 where the power is 0.

    >>> phase_variance(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    0.75
    """
    flat = patterns.flatten(-2)
    power = float(flat.square().mean())
    return float(flat.var(-1, correction=0).mean()) / power if power else 0.0


def _phases(output: Tensor, period: int, margin: int) -> Tensor:
    """(N, O, H, W) -> (N, O, P, P): the mean of each phase, without `margin` output pixels at each side."""
    inner = output[..., margin : output.shape[-2] - margin, margin : output.shape[-1] - margin]
    return F.pixel_unshuffle(inner, period).mean((2, 3)).unflatten(1, (output.shape[1], period, period))
