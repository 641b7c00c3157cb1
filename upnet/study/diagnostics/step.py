"""What becomes of an edge.

Shape legend: h, w LR pixels; s scale; L output pixels across the edge.
"""

import math

import torch
from torch import Tensor

from upnet.study.diagnostics.base import SyntheticDiagnostic
from upnet.study.diagnostics.methods import UpscalingMethod

# How far to both sides of the edge is looked, in LR pixels.
_AROUND = 8

_SOURCE = (
    "the definitions: IEEE Standard 181-2011 for Transitions, Pulses, and Related Waveforms, "
    "https://doi.org/10.1109/IEEESTD.2011.6016198; on ringing against blur: Mitchell and Netravali, Reconstruction "
    "filters in computer graphics, 1988, https://doi.org/10.1145/378456.378514"
)


class StepOvershoot(SyntheticDiagnostic):
    """How far an edge is overshot, on whichever side it is more, in percent of its height.

    0 for nearest and bilinear; ×2, bicubic has 7.03 with a = −0.5 and 10.55 with a = −0.75. A network is shown an edge
    from 1/4 to 3/4 of the range, an operator one from 0 to 1; rising and falling, upright and lying, and the mean of
    the four is taken. No antialiasing has touched the edge: it lies between two LR pixels. 0 % and 100 % are what the
    output has far from the edge, so that gain and offset don't count. nan where it is the same on both sides.
    """

    name = "step_overshoot"
    heading = "step overshoot"
    unit = "%"
    better = "lower"
    formula = (
        "100·max(max p − 1, −min p, 0), p = (q − q₀)/(q₁ − q₀), q: the output across the edge, mean along it, q₀ and "
        "q₁: its means over the period farthest before the edge and farthest behind it"
    )
    source = _SOURCE

    def compute_for_method(self, method: UpscalingMethod) -> float:
        """In percent of the edge's height."""
        return 100 * _mean([_overshoot(profile) for profile in profiles(method)])


class StepRise(SyntheticDiagnostic):
    """How many output pixels an edge takes from 10 % of its height to 90 %, between which samples are joined by lines.

    0.8 for nearest, with all its stairs, as for the edge in HR; 2.2 for bilinear ×2; less than 0.8 where an overshoot
    makes it steeper, so that neither figure says much without the other. The edge is that of the overshoot. nan where
    the output doesn't get from 10 % to 90 %.
    """

    name = "step_rise"
    heading = "step rise 10–90 %"
    unit = "px"
    better = "lower"
    formula = "x₉₀ − x₁₀ about the crossing of 1/2, in output pixels, p[x] joined by lines; p as for the overshoot"
    source = _SOURCE

    def compute_for_method(self, method: UpscalingMethod) -> float:
        """In output pixels."""
        return _mean([_rise(profile) for profile in profiles(method)])


def profiles(method: UpscalingMethod) -> list[Tensor]:
    """Four edges, each as (L,) float64 that goes from 0 to 1, with 8 LR pixels or a few more on both sides."""
    margin, unit = method.margin, method.alignment
    around = math.ceil(_AROUND / unit) * unit
    rising = torch.full((2 * (margin + unit), 2 * (margin + around)), method.dark, dtype=torch.float64)
    rising[:, margin + around :] = method.bright
    kept = slice(method.scale * margin, -method.scale * margin or None)
    planes = (rising, rising.flip(1))
    outputs = [output for plane in planes for output in (method(plane), method(plane.T).T)]
    return [_from_0_to_1(output[kept, kept].mean(0), method.period) for output in outputs]


def _from_0_to_1(profile: Tensor, period: int) -> Tensor:
    """All nan where both ends are the same."""
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
    return (high - 1 + _part(values, high - 1, 0.9)) - (low + _part(values, low, 0.1))


def _part(values: list[float], index: int, level: float) -> float:
    """Where between a value and the next one the line that joins them crosses a level."""
    return (level - values[index]) / (values[index + 1] - values[index])


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
