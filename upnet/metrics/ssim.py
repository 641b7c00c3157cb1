"""Structural similarity of one picture.

Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004,
https://doi.org/10.1109/TIP.2003.819861, with the paper's own settings: a Gaussian window of 11x11 and sigma 1.5,
population moments (the weights add up to 1), K1 = 0.01, K2 = 0.03, and only positions where the whole window lies
inside the picture.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["SIGMA", "WINDOW", "ssim"]

WINDOW, SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
_MORE = WINDOW - 1
# A block of outputs is one product with a banded matrix: 8 of them read 18 values. Shorter blocks make more products,
# longer ones multiply by more zeros.
_BLOCK = 8
# A band of rows, and what is made of it, stays in the cache, and torch wakes no thread for so few values. Of a very
# wide picture it is more, or most rows would be read for the sake of others. A GPU takes the whole picture.
_BAND_VALUES, _LEAST_ROWS = 2**15, 24


def ssim(output: Tensor, target: Tensor, peak: float = 255.0) -> float:
    """Mean SSIM over all valid positions and channels of two (C, H, W) of range 0 ... peak, in float64.

    Raises ValueError where the shapes differ or a picture is smaller than 11x11.
    """
    if output.shape != target.shape or output.ndim != 3 or output.shape[0] == 0:
        raise ValueError(
            "ssim: both pictures must be (C, H, W) and of the same size; "
            f"got {tuple(output.shape)} and {tuple(target.shape)}"
        )
    channels, height, width = output.shape
    if min(height, width) < WINDOW:
        raise ValueError(
            f"ssim: a picture must have at least {WINDOW}x{WINDOW} pixels after cropping; got {height}x{width}; "
            "use a larger picture or a smaller crop"
        )
    positions = height - _MORE
    longest = positions if output.is_cuda else max(_BAND_VALUES // width - _MORE, _LEAST_ROWS)
    bands = -(-positions // longest)
    rows = -(-positions // bands)
    band = _Band(rows, width, peak, output.device)
    totals: list[Tensor] = []
    with torch.no_grad():
        for done in range(0, positions, rows):
            # The last band begins where it still fits, and leaves out the rows that have been counted.
            first = min(done, positions - rows)
            span = slice(first, first + rows + _MORE)
            totals += [band.total(x[span], y[span], done - first) for x, y in zip(output, target, strict=True)]
    return 1 - 2 * torch.stack(totals).sum().item() / (channels * positions * (width - _MORE))


class _Band:
    """Room for what is made of a band of two pictures, taken from the system once.

    rows: of the positions; the pictures have 10 more. width: of the pictures.
    """

    def __init__(self, rows: int, width: int, peak: float, device: torch.device) -> None:
        c1, c2 = 2 * (_K1 * peak) ** 2, 2 * (_K2 * peak) ** 2
        self.c1, self.both = (torch.tensor(c, dtype=torch.float64, device=device) for c in (c1, c1 + c2))
        self.maps = torch.empty(4, rows + _MORE, width, dtype=torch.float64, device=device)
        half = torch.empty(4, rows, width, dtype=torch.float64, device=device)
        self.moments = torch.empty(5, rows, width - _MORE, dtype=torch.float64, device=device)
        self.products = [*_down(self.maps, half), *_along(half.flatten(0, 1), self.moments[:4].flatten(0, 1))]
        if not self.maps.is_cuda:
            self.arrays = [tuple(matrix.numpy() for matrix in product) for product in self.products]

    def total(self, x: Tensor, y: Tensor, first: int) -> Tensor:
        """Sum of (1 - SSIM) / 2 over the map of two (rows + 10, width), from its row `first` on.

        With a = x + y and b = x - y, the blurs m and variances v of a and b hold all that SSIM asks for, since
        4 mx my = ma^2 - mb^2 and 2 (mx^2 + my^2) = ma^2 + mb^2, and so for the variances. With p = ma^2 + 2 C1,
        q = mb^2, u = va + 2 C2 and w = vb, SSIM = (p - q)(u - w) / ((p + q)(u + w)) = 1 - 2 s / (s + r), where
        s = p w + q u and r = p u + q w.
        """
        x, y = x.to(torch.float64), y.to(torch.float64)
        a, b, aa, bb = self.maps.unbind(0)
        torch.add(x, y, out=a)
        torch.sub(x, y, out=b)
        # A blur keeps constants, so that both constants can be added here, at no cost.
        torch.addcmul(self.both, a, a, out=aa)
        torch.mul(b, b, out=bb)
        if x.is_cuda:
            for one, other, product in self.products:
                product.copy_(one @ other)
        else:
            # NumPy takes many small products in half the time of torch, and copies no overlapping windows.
            for one, other, product in self.arrays:
                np.matmul(one, other, out=product)
        p, q, u, w, s = self.moments.unbind(0)
        torch.addcmul(self.c1, p, p, out=p)
        torch.mul(q, q, out=q)
        u.sub_(p)
        w.sub_(q)
        torch.mul(p, w, out=s).addcmul_(q, u)
        p.mul_(u).addcmul_(q, w)
        return s.div_(p.add_(s))[first:].sum()


_Product = tuple[Tensor, Tensor, Tensor]
"""Two stacks of matrices, and where their products go."""


def _down(x: Tensor, blurred: Tensor) -> list[_Product]:
    """The Gaussian down the columns where the window fits: (K, L, M) -> (K, L - 10, M), both contiguous."""
    maps, length, across = blurred.shape
    matrix, _ = _banded_gaussian(x.device)
    blocks, rest = divmod(length, _BLOCK)
    whole, products = blocks * _BLOCK, []
    if blocks:
        strides = (x.stride(0), _BLOCK * across, across, 1)
        windows = x.as_strided((maps, blocks, _BLOCK + _MORE, across), strides)
        products.append((matrix, windows, blurred[:, :whole].unflatten(1, (blocks, _BLOCK))))
    if rest:
        products.append((matrix[:rest, : rest + _MORE], x[:, whole:], blurred[:, whole:]))
    return products


def _along(x: Tensor, blurred: Tensor) -> list[_Product]:
    """The Gaussian along the rows where the window fits: (L, M) -> (L, M - 10), both contiguous."""
    rows, length = blurred.shape
    _, matrix = _banded_gaussian(x.device)
    blocks, rest = divmod(length, _BLOCK)
    whole, products = blocks * _BLOCK, []
    if blocks:
        windows = x.as_strided((blocks, rows, _BLOCK + _MORE), (_BLOCK, x.stride(0), 1))
        products.append((windows, matrix, blurred[:, :whole].unflatten(1, (blocks, _BLOCK)).movedim(1, 0)))
    if rest:
        products.append((x[:, whole:], matrix[: rest + _MORE, :rest], blurred[:, whole:]))
    return products


@lru_cache(maxsize=4)
def _banded_gaussian(device: torch.device) -> tuple[Tensor, Tensor]:
    """(block, block + 10) float64: the window, its sum 1, one value further to the right in each row; and turned."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    gaussian = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    matrix = torch.zeros((_BLOCK, _BLOCK + _MORE), dtype=torch.float64)
    for row in range(_BLOCK):
        matrix[row, row : row + WINDOW] = gaussian / gaussian.sum()
    return matrix.to(device), matrix.t().contiguous().to(device)
