"""All that least squares has to know of the training pictures, whatever the structure.

Shape legend: s scale; R reach, in LR pixels; D = (2R + 1)² taps.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.study.oracle.structures import RADIUS, LinearResponse
from upnet.utils.errors import UserError

# So many LR pixels at a time: their (D + s²) values each stay in a core's cache.
_BAND = 2048
_RANK = 1e-14


class Moments:
    """The products of every two of an LR pixel's D neighbours and its s² HR pixels, summed over LR pixels.

    Every operator that is linear in its parameters reads its normal equations from these sums, so that the pictures
    are gone through once for all of them. LR pixels nearer than R to the border don't count.

    scale: s.
    reach: R.
    """

    def __init__(self, scale: int, reach: int = RADIUS) -> None:
        self.scale = scale
        self.reach = reach
        self.taps = (2 * reach + 1) ** 2
        """D."""
        self.pixels = 0
        """LR pixels that were taken in."""
        features = self.taps + scale**2
        self.sums = torch.zeros(features, features, dtype=torch.float64)

    def add(self, lr: Tensor, hr: Tensor) -> None:
        """Take in a picture's planes: (h, w) and (s·h, s·w) float64. One smaller than 2R + 1 has nothing to say."""
        side = 2 * self.reach + 1
        rows, cols = (length - side + 1 for length in lr.shape)
        if min(rows, cols) < 1:
            return
        inner = hr[self.scale * self.reach :, self.scale * self.reach :][: self.scale * rows, : self.scale * cols]
        phases = F.pixel_unshuffle(inner[None], self.scale)
        band = max(1, _BAND // cols)
        for row in range(0, rows, band):
            strip = lr[row : min(row + band, rows) + side - 1]
            patches = F.unfold(strip[None, None], side)[0]
            features = torch.cat((patches, phases[:, row : row + band].flatten(1)))
            self.sums.addmm_(features, features.T)
        self.pixels += rows * cols

    def error(self, kernels: Tensor) -> float:
        """Mean squared error of K, (s², D), per HR pixel, neither rounded nor clamped."""
        known, cross, energy = self._parts()
        squared = energy - 2 * (kernels * cross).sum() + ((kernels @ known) * kernels).sum()
        return max(float(squared), 0.0) / (self.pixels * self.scale**2)

    def psnr(self, kernels: Tensor) -> float:
        """The same in dB, with peak 1."""
        error = self.error(kernels)
        return math.inf if error == 0 else -10 * math.log10(error)

    def solve(self, response: LinearResponse) -> Tensor:
        """The (P,) parameters with the least squared error; of several equally good ones, the smallest.

        Raises UserError if no image is large enough.
        """
        if self.pixels == 0:
            side = self.scale * (2 * self.reach + 1)
            raise UserError(
                f"every training image is smaller than {side}×{side} pixels, which the fit at scale {self.scale} needs",
                cure="Give larger images",
            )
        known, cross, _ = self._parts()
        parameters = torch.zeros(len(response.columns), dtype=torch.float64)
        for phases, members in response.blocks():
            columns = response.columns[members][:, phases]
            left = cross[phases] - response.fixed[phases] @ known
            right = torch.tensordot(columns, left, dims=2)
            normal = (columns @ known).flatten(1) @ columns.flatten(1).T
            fitted = torch.linalg.lstsq(normal, right[:, None], rcond=_RANK, driver="gelsy").solution
            parameters[members] = fitted[:, 0]
        return parameters

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Neighbours with neighbours (D, D), phases with neighbours (s², D), and the phases' energy."""
        known, cross = self.sums[: self.taps, : self.taps], self.sums[self.taps :, : self.taps]
        return known, cross, self.sums.diagonal()[self.taps :].sum()
