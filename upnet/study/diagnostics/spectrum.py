"""Distance between the radial power spectra of an output and its target.

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
    """Log spectral distance to the HR image below the Nyquist frequency of LR, where LR contains the frequencies.

    0 for equal spectra; 6.02 where every frequency has twice or half its amplitude. It ignores phases: an output with
    the correct spectrum may be a wrong image.

    >>> from upnet.metrics.baseline import bicubic
    >>> from upnet.metrics import downscale
    >>> lr, hr = downscale(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), scale=2)
    >>> round(SpectrumBelow().compute_for_image(bicubic(lr, 2), hr, lr, scale=2), 1)
    2.7
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
    """Log spectral distance to the HR image above the Nyquist frequency of LR, where the network adds the frequencies.

    Bicubic interpolation has little power there, and so have, to a smaller extent, networks trained on a mean error;
    noise adds power. Power below that of rounding to 8 bits is ignored.

    >>> from upnet.metrics.baseline import bicubic
    >>> from upnet.metrics import downscale
    >>> lr, hr = downscale(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), scale=2)
    >>> round(SpectrumAbove().compute_for_image(bicubic(lr, 2), hr, lr, scale=2), 1)
    25.5
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

    Frequencies range from 1/N to 1/2. Higher ones, which exist in diagonal directions only, are excluded.

    >>> frequencies, power = radial_profile(torch.rand(64, 64, dtype=torch.float64), scale=2)
    >>> frequencies.shape, power.shape, frequencies[-1].item()
    (torch.Size([32]), torch.Size([32]), 0.5)
    """
    spectrum = power_spectrum(plane, scale)
    side = len(spectrum)
    frequencies = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    radius = torch.hypot(frequencies[:, None], frequencies).round().long().flatten()
    sums = torch.bincount(radius, weights=spectrum.flatten())
    mean = sums / torch.bincount(radius)
    rings = torch.arange(1, side // 2 + 1)
    return rings / side, mean[rings]


def _distance(output: Tensor, target: Tensor, scale: int, above: bool) -> float:
    upscaled, hr = luma_pair(output, target, scale)
    frequencies, power = radial_profile(upscaled, scale)
    decibels = 10 * torch.log10(power / radial_profile(hr, scale)[1])
    band = (2 * scale * frequencies >= 1) == above
    return float(decibels[band].square().mean().sqrt())
