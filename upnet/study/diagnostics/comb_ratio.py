"""Checkerboard energy in the spectrum of an image: peaks at the harmonics of a grid of s pixels.

Shape legend: s scale; N side of a block of the spectrum; M = N/s.
"""

import itertools

import torch
from torch import Tensor

from upnet.study.diagnostics.base import ImageDiagnostic
from upnet.study.diagnostics.power_spectrum import luma_pair, power_spectrum

# The Hann window spreads a line over one neighbouring frequency, which is excluded from the neighbourhood.
_GUARD, _OUTER = 1, 6


class CombRatio(ImageDiagnostic):
    """Power at the frequencies of a checkerboard relative to their neighbourhood, in dB above that of the HR image.

    0: the same as the HR image. A pattern that is not yet visible gives several dB. Negative: the spectrum has a gap at
    these frequencies, as after interpolation by a kernel that contains the box of width s. A pattern that is modulated
    by the image, as uneven sub-kernels cause it, is spread around the multiples of N/s and is counted in part only.

    >>> hr = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> checkerboard = hr.clone()
    >>> checkerboard[:, ::2, ::2] += 0.2
    >>> round(CombRatio().compute_for_image(checkerboard, hr, hr[:, ::2, ::2], scale=2))
    31
    """

    name = "comb_ratio"
    heading = "comb ratio relative to HR"
    unit = "dB"
    better = "lower"
    formula = (
        "C(output) − C(HR), C = mean over (k, l) ≠ 0 of 10·log10(P[kN/s, lN/s] / mean of P at a distance of 2 … 6 "
        "frequencies), 0 ≤ k, l < s; P: power spectral density of Y in blocks of N ≤ 96 under a Hann window, crop s"
    )
    source = (
        "Sugawara, Shiota and Kiya, Checkerboard artifacts free convolutional neural networks, 2019, "
        "https://doi.org/10.1017/ATSIP.2019.2; on peaks in the spectra of upsamplers: Zhang, Karaman and Chang, "
        "Detecting and Simulating Artifacts in GAN Fake Images, https://arxiv.org/abs/1907.06515"
    )

    def compute_for_image(self, output: Tensor, target: Tensor, lr: Tensor, scale: int) -> float:
        """In dB; negative where the HR image has stronger peaks."""
        upscaled, hr = luma_pair(output, target, scale)
        return peak_ratio(power_spectrum(upscaled, scale), scale) - peak_ratio(power_spectrum(hr, scale), scale)


def peak_ratio(spectrum: Tensor, scale: int) -> float:
    """C in dB of a power spectral density (N, N) with the zero frequency first."""
    spacing = len(spectrum) // scale
    outer = min(_OUTER, spacing // 2)
    offsets = torch.arange(-outer, outer + 1)
    ring = torch.maximum(offsets[:, None].abs(), offsets.abs()) > _GUARD
    total = 0.0
    for row, col in itertools.product(range(scale), repeat=2):
        if row or col:
            shifted = spectrum.roll((outer - row * spacing, outer - col * spacing), (0, 1))
            window = shifted[: 2 * outer + 1, : 2 * outer + 1]
            total += float(10 * torch.log10(window[outer, outer] / window[ring].mean()))
    return total / (scale**2 - 1)
