"""Bilinear interpolation from the 2×2 nearest pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.kernels.memory_format import is_channels_last, on_cpu
from upnet.upsample.kernels.separable import Separable
from upnet.utils.interpolation_kernels import tent


class Bilinear(Separable):
    r"""Weighted mean of the 2×2 nearest input pixels, with a tent kernel along each axis.

    .. math:: y[o] = \sum_n k(u_1 - n_1) \, k(u_2 - n_2) \, x[n]
    .. math:: u = \frac{o + 1/2}{s} - \frac{1}{2}
    .. math:: k(t) = \max(0, \; 1 - |t|)

    (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋) on the half-pixel grid (`align_corners=False`), border `replicate`.

    >>> import torch
    >>> Bilinear(channels=1, scale=2).upsample_full(torch.tensor([[[[0.0, 4.0]]]]))[0, 0, 0].tolist()
    [0.0, 1.0, 3.0, 4.0]
    """

    support = 1

    def kernel(self, distance: Tensor) -> Tensor:
        """The tent 1 − |t|."""
        return tent(distance)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # PyTorch's kernel does both axes in one pass. It is not used where it is slow (contiguous on a CPU), where its
        # gradient has no fixed order of summation (on a GPU), and for fractional scales, where it copies instead of
        # interpolating if the size does not grow (1.14 · 6 = 6.84).
        slow = on_cpu(x) and not is_channels_last(x)
        nondeterministic = x.device.type != "cpu" and torch.are_deterministic_algorithms_enabled()
        if slow or nondeterministic or not isinstance(self.scale, int):
            return super().expand(x, site)
        return F.interpolate(x, scale_factor=self._scale_up, mode="bilinear", align_corners=False)
