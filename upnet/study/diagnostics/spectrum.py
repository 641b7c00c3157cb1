"""How much of each frequency an output has, whatever its direction, beside its target.

Shape legend: N side of a block of the spectrum; K = N/2 radial frequencies.
"""

import torch
from torch import Tensor

from upnet.study.diagnostics.base import ImageDiagnostic
from upnet.study.diagnostics.power_spectrum import luma_pair, power_spectrum

_FORMULA = (
    "rms over radial frequencies f of 10·log10(R_output(f) / R_HR(f)); R(f): mean over all directions of the power "
    "spectral density of Y in blocks of N ≤ 96 under a Hann window, crop s"
)
_SOURCE = (
    "the radial profile: Durall, Keuper and Keuper, Watch your Up-Convolution, https://arxiv.org/abs/2003.01826; the "
    "log spectral distance: Gray and Markel, Distance measures for speech processing, 1976, "
    "https://doi.org/10.1109/TASSP.1976.1162849"
)


class SpectrumBelow(ImageDiagnostic):
    """How far the radial spectrum is from the HR picture's where the LR picture could tell it.

    0 for equal spectra; 6.02 where every frequency has twice or half its amplitude. It says nothing of phases: an
    output of the right spectrum may be the wrong picture.
    """

    name = "spectrum_below"
    heading = "spectrum below LR Nyquist"
    unit = "dB"
    better = "lower"
    formula = f"{_FORMULA}; 0 < f < 1/(2s) cycles per pixel"
    source = _SOURCE

    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """In dB, 0 or larger."""
        return _distance(output, target, scale, above=False)


class SpectrumAbove(ImageDiagnostic):
    """How far the radial spectrum is from the HR picture's where the network has to invent it.

    Bicubic leaves a gap here, and so does, less deep, whatever minimises the mean error; noise fills it. Power below
    what rounding to 8 bits has counts as that.
    """

    name = "spectrum_above"
    heading = "spectrum above LR Nyquist"
    unit = "dB"
    better = "lower"
    formula = f"{_FORMULA}; 1/(2s) ≤ f ≤ 1/2 cycles per pixel"
    source = _SOURCE

    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """In dB, 0 or larger."""
        return _distance(output, target, scale, above=True)


def radial_profile(plane: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The radial spectrum of a plane (H, W) in [0, 1]: frequencies in cycles per pixel and their power, both (K,).

    Frequencies go from 1/N to 1/2; the corners beyond, which not all directions have, are left out.
    """
    spectrum = power_spectrum(plane, scale)
    side = len(spectrum)
    line = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    radius = torch.hypot(line[:, None], line).round().long().flatten()
    sums = torch.bincount(radius, weights=spectrum.flatten())
    mean = sums / torch.bincount(radius)
    rings = torch.arange(1, side // 2 + 1)
    return rings / side, mean[rings]


def _distance(output: Tensor, target: Tensor, scale: int, above: bool) -> float:
    made, true = luma_pair(output, target, scale)
    frequencies, found = radial_profile(made, scale)
    decibels = 10 * torch.log10(found / radial_profile(true, scale)[1])
    band = (2 * scale * frequencies >= 1) == above
    return float(decibels[band].square().mean().sqrt())
