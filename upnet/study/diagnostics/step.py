"""Step response: overshoot and rise of an edge.

Shape legend: h, w LR pixels; s scale; L output pixels across the edge.
"""

import math

import torch
from torch import Tensor

from upnet.study.diagnostics.base import SyntheticDiagnostic
from upnet.study.diagnostics.methods import UpscalingMethod

# LR pixels on each side of the edge.
_SIDE = 8

_SOURCE = (
    "the definitions: IEEE Standard 181-2011 for Transitions, Pulses, and Related Waveforms, "
    "https://doi.org/10.1109/IEEESTD.2011.6016198; on ringing against blur: Mitchell and Netravali, Reconstruction "
    "filters in computer graphics, 1988, https://doi.org/10.1145/378456.378514"
)


class StepOvershoot(SyntheticDiagnostic):
    """Overshoot of an edge in percent of its height, on the side where it is larger.

    0 for nearest and bilinear; at ×2 bicubic has 7.03 with a = −0.5 and 10.55 with a = −0.75. The input is a step
    between two LR pixels, not antialiased: from 0 to 1 for an operator, from 1/4 to 3/4 of the range for a network. The
    value is the mean over rising and falling, vertical and horizontal edges. 0 % and 100 % are the levels of the output
    far from the edge, so that gain and offset have no influence. NaN where both levels are the same.

    >>> from upnet.upsample import Nearest
    >>> StepOvershoot().compute_for_operator(Nearest(1, 2))
    0.0
    """

    name = "step_overshoot"
    heading = "step overshoot"
    unit = "%"
    better = "lower"
    formula = (
        "100·max(max p − 1, −min p, 0), p = (q − q₀)/(q₁ − q₀), q: the output across the edge, mean along it, q₀ and "
        "q₁: its means over the first and over the last period of the profile"
    )
    source = _SOURCE

    def compute_for_method(self, method: UpscalingMethod) -> float:
        """In percent of the edge's height."""
        return 100 * _mean([_overshoot(profile) for profile in profiles(method)])


class StepRise(SyntheticDiagnostic):
    """Output pixels from 10 % to 90 % of the height of an edge, with linear interpolation between samples.

    0.8 for nearest, as for the edge in HR; 2.2 for bilinear ×2. Overshoot makes an edge steeper and can give less than
    0.8, so that both diagnostics must be read together. The input is that of the overshoot. NaN where the output does
    not reach 10 % and 90 %.

    >>> from upnet.upsample import Bilinear
    >>> round(StepRise().compute_for_operator(Bilinear(1, 2)), 3)
    2.2
    """

    name = "step_rise"
    heading = "step rise 10–90 %"
    unit = "px"
    better = "lower"
    formula = "x₉₀ − x₁₀ around the crossing of 1/2, in output pixels, p linearly interpolated; p as for the overshoot"
    source = _SOURCE

    def compute_for_method(self, method: UpscalingMethod) -> float:
        """In output pixels."""
        return _mean([_rise(profile) for profile in profiles(method)])


def profiles(method: UpscalingMethod) -> list[Tensor]:
    """Four edges, each (L,) float64 from 0 to 1, with 8 LR pixels or a few more on both sides."""
    margin, unit = method.margin, method.alignment
    side = math.ceil(_SIDE / unit) * unit
    rising = torch.full((2 * (margin + unit), 2 * (margin + side)), method.dark, dtype=torch.float64)
    rising[:, margin + side :] = method.bright
    inner = slice(method.scale * margin, -method.scale * margin or None)
    planes = (rising, rising.flip(1))
    outputs = [output for plane in planes for output in (method(plane), method(plane.T).T)]
    return [_from_0_to_1(output[inner, inner].mean(0), method.period) for output in outputs]


def _from_0_to_1(profile: Tensor, period: int) -> Tensor:
    """The profile scaled to levels 0 and 1; all NaN where both levels are the same."""
    first, last = profile[:period].mean(), profile[-period:].mean()
    return (profile - first) / (last - first) if first != last else torch.full_like(profile, math.nan)


def _overshoot(profile: Tensor) -> float:
    return float(torch.stack((profile.max() - 1, -profile.min())).clamp(min=0).max())


def _rise(profile: Tensor) -> float:
    values = profile.tolist()
    middle = len(values) / 2
    crossings = [i for i in range(1, len(values)) if values[i - 1] < 0.5 <= values[i]]
    if not crossings:
        return math.nan
    centre = min(crossings, key=lambda i: abs(i - middle))
    low = next((i for i in range(centre - 1, -1, -1) if values[i] <= 0.1), None)
    high = next((i for i in range(centre, len(values)) if values[i] >= 0.9), None)
    if low is None or high is None:
        return math.nan
    return (high - 1 + _crossing(values, high - 1, 0.9)) - (low + _crossing(values, low, 0.1))


def _crossing(values: list[float], index: int, level: float) -> float:
    """The position, as a fraction of one pixel after `index`, where the interpolated line reaches a level."""
    return (level - values[index]) / (values[index + 1] - values[index])


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
