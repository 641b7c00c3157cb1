"""Moments: the least-squares problem of the training images, the same for every structure.

Shape legend: h, w LR pixels; s scale; R radius in LR pixels; D = (2R + 1)² taps; P parameters.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.study.oracle.structures import RADIUS, LinearResponse
from upnet.utils.errors import UserError

# Number of LR pixels that are processed at a time, so that their (D + s²) values each stay in the cache of a core.
_BAND_PIXELS = 2048
# Singular values below this fraction of the largest one count as 0.
_RANK_TOLERANCE = 1e-14


class Moments:
    """Sums over LR pixels of all products between the D pixels of its neighbourhood and its s² HR pixels.

    The normal equations of every operator that is linear in its parameters are computed from these sums, so that the
    training images are read only once. LR pixels less than R from the border are not used.

    scale:  s.
    radius: R.

    >>> from upnet.study.oracle.structures import measure_response
    >>> from upnet.upsample import Transposed
    >>> image = torch.rand(18, 18, dtype=torch.float64)
    >>> moments = Moments(scale=2)
    >>> moments.add(image, image.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1))
    >>> parameters = moments.solve(measure_response(Transposed(1, 2, kernel_size=2).double()))
    >>> [round(value, 6) for value in parameters.tolist()]  # four weights and a bias
    [1.0, 1.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, scale: int, radius: int = RADIUS) -> None:
        self.scale = scale
        self.radius = radius
        self.taps = (2 * radius + 1) ** 2
        """D."""
        self.pixels = 0
        """The number of LR pixels that were added."""
        features = self.taps + scale**2
        self.sums = torch.zeros(features, features, dtype=torch.float64)
        """(D + s², D + s²)."""

    def add(self, lr: Tensor, hr: Tensor) -> None:
        """Add the planes of an image, (h, w) and (s·h, s·w) float64. Smaller images than 2R + 1 are ignored."""
        side = 2 * self.radius + 1
        rows, cols = (length - side + 1 for length in lr.shape)
        if min(rows, cols) < 1:
            return
        inner = hr[self.scale * self.radius :, self.scale * self.radius :][: self.scale * rows, : self.scale * cols]
        phases = F.pixel_unshuffle(inner[None], self.scale)
        band = max(1, _BAND_PIXELS // cols)
        for row in range(0, rows, band):
            strip = lr[row : min(row + band, rows) + side - 1]
            patches = F.unfold(strip[None, None], side)[0]
            features = torch.cat((patches, phases[:, row : row + band].flatten(1)))
            self.sums.addmm_(features, features.T)
        self.pixels += rows * cols

    def mse(self, kernels: Tensor) -> float:
        """Mean squared error over all HR pixels of the kernels (s², D); outputs are neither rounded nor clamped."""
        autocorrelation, cross_correlation, energy = self._correlations()
        squared = energy - 2 * (kernels * cross_correlation).sum() + ((kernels @ autocorrelation) * kernels).sum()
        return max(float(squared), 0.0) / (self.pixels * self.scale**2)

    def psnr(self, kernels: Tensor) -> float:
        """PSNR in dB of the kernels (s², D), with peak 1; inf where the error is 0."""
        mse = self.mse(kernels)
        return math.inf if mse == 0 else -10 * math.log10(mse)

    def solve(self, response: LinearResponse) -> Tensor:
        """The parameters (P,) with the smallest squared error; the solution of minimum norm if there are several.

        Raises UserError if no image was large enough.
        """
        if self.pixels == 0:
            side = self.scale * (2 * self.radius + 1)
            raise UserError(
                f"every training image is smaller than {side}×{side} pixels, which the fit at scale {self.scale} needs",
                cure="Give larger images",
            )
        autocorrelation, cross_correlation, _ = self._correlations()
        parameters = torch.zeros(len(response.columns), dtype=torch.float64)
        for phases, members in response.blocks():
            columns = response.columns[members][:, phases]
            residual = cross_correlation[phases] - response.fixed[phases] @ autocorrelation
            right_side = torch.tensordot(columns, residual, dims=2)
            matrix = (columns @ autocorrelation).flatten(1) @ columns.flatten(1).T
            solution = torch.linalg.lstsq(matrix, right_side[:, None], rcond=_RANK_TOLERANCE, driver="gelsy").solution
            parameters[members] = solution[:, 0]
        return parameters

    def _correlations(self) -> tuple[Tensor, Tensor, Tensor]:
        """LR autocorrelation (D, D), cross-correlation of HR phases with LR (s², D), and energy of HR ()."""
        autocorrelation, cross_correlation = self.sums[: self.taps, : self.taps], self.sums[self.taps :, : self.taps]
        return autocorrelation, cross_correlation, self.sums.diagonal()[self.taps :].sum()
