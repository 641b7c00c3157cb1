"""Structural similarity (SSIM) of one image, with the settings of the paper.

The window is a Gaussian of 11x11 pixels and sigma 1.5. Its weights add up to 1 (population moments). K1 = 0.01 and
K2 = 0.03. Only positions at which the window lies inside the image count.

Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004,
https://doi.org/10.1109/TIP.2003.819861
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["SIGMA", "WINDOW", "ssim"]

WINDOW, SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
_MARGIN = WINDOW - 1
# The blur is computed in blocks of outputs, each one product with a banded matrix: 8 outputs read 18 inputs. Shorter
# blocks make more products, longer blocks multiply by more zeros.
_BLOCK = 8
# On a CPU the image is processed in bands of rows that stay in the cache. Bands of very wide images have at least 24
# rows, because each band reads 10 rows of the next one. On a GPU the image is one band.
_BAND_VALUES, _MIN_ROWS = 2**15, 24


def ssim(output: Tensor, target: Tensor, peak: float = 255.0) -> float:
    r"""Structural similarity of one image; 1 for equal images.

    .. math:: \text{SSIM} = \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}, \qquad C_i = (K_i \cdot \text{peak})^2

    with Gaussian-weighted means, variances and covariance, averaged over all valid window positions and channels.

    Args:
        output: (C, H, W), any dtype, range 0..peak, at least 11x11 pixels.
        target: same shape and range.
        peak:   largest possible value: 255 for 8 bits, 1 for floating point in [0, 1].

    Returns:
        The mean SSIM, in [-1, 1], computed in float64.

    Raises:
        ValueError: the shapes differ, or an image is smaller than 11x11.

    >>> target = torch.linspace(0, 255, 16 * 16).reshape(1, 16, 16)
    >>> ssim(target, target), round(ssim(0.5 * target, target), 3)
    (1.0, 0.652)
    """
    if output.shape != target.shape or output.ndim != 3 or output.shape[0] == 0:
        raise ValueError(
            "ssim: output and target must be (C, H, W) and have the same size; "
            f"got {tuple(output.shape)} and {tuple(target.shape)}"
        )
    channels, height, width = output.shape
    if min(height, width) < WINDOW:
        raise ValueError(
            f"ssim: an image must have at least {WINDOW}x{WINDOW} pixels after cropping; got {height}x{width}; "
            "use a larger image or a smaller crop"
        )
    positions = height - _MARGIN
    longest = positions if output.is_cuda else max(_BAND_VALUES // width - _MARGIN, _MIN_ROWS)
    bands = -(-positions // longest)
    rows = -(-positions // bands)
    band = _Band(rows, width, peak, output.device)
    totals: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, positions, rows):
            # The last band is moved up to fit into the image; its rows that were counted before are skipped.
            first = min(start, positions - rows)
            span = slice(first, first + rows + _MARGIN)
            totals += [band.total(x[span], y[span], start - first) for x, y in zip(output, target, strict=True)]
    return 1 - 2 * torch.stack(totals).sum().item() / (channels * positions * (width - _MARGIN))


class _Band:
    """Buffers for the SSIM of one band of two images, allocated once per call.

    rows:  rows of window positions; the band has 10 more rows of pixels.
    width: pixels of a row.
    """

    def __init__(self, rows: int, width: int, peak: float, device: torch.device) -> None:
        c1, c2 = 2 * (_K1 * peak) ** 2, 2 * (_K2 * peak) ** 2
        self.c1, self.c1_plus_c2 = (torch.tensor(c, dtype=torch.float64, device=device) for c in (c1, c1 + c2))
        self.maps = torch.empty(4, rows + _MARGIN, width, dtype=torch.float64, device=device)
        half = torch.empty(4, rows, width, dtype=torch.float64, device=device)
        self.moments = torch.empty(5, rows, width - _MARGIN, dtype=torch.float64, device=device)
        self.products = [
            *_blur_columns(self.maps, half),
            *_blur_rows(half.flatten(0, 1), self.moments[:4].flatten(0, 1)),
        ]
        if not self.maps.is_cuda:
            self.arrays = [tuple(matrix.numpy() for matrix in product) for product in self.products]

    def total(self, x: Tensor, y: Tensor, first: int) -> Tensor:
        """Sum of (1 - SSIM) / 2 over window positions from row `first` on; x and y are (rows + 10, width).

        SSIM is computed from the means m and variances v of a = x + y and b = x - y, since 4 mx my = ma^2 - mb^2 and
        2 (mx^2 + my^2) = ma^2 + mb^2; the same holds for variances and covariance. With p = ma^2 + 2 C1,
        q = mb^2, u = va + 2 C2 and w = vb, SSIM = (p - q)(u - w) / ((p + q)(u + w)) = 1 - 2 s / (s + r), where
        s = p w + q u and r = p u + q w.
        """
        x, y = x.to(torch.float64), y.to(torch.float64)
        a, b, aa, bb = self.maps.unbind(0)
        torch.add(x, y, out=a)
        torch.sub(x, y, out=b)
        # A blur keeps constants: C1 and C2 can be added before it.
        torch.addcmul(self.c1_plus_c2, a, a, out=aa)
        torch.mul(b, b, out=bb)
        if x.is_cuda:
            for left, right, product in self.products:
                product.copy_(left @ right)
        else:
            # NumPy multiplies many small matrices faster than torch, and copies no overlapping windows.
            for left, right, product in self.arrays:
                np.matmul(left, right, out=product)
        p, q, u, w, s = self.moments.unbind(0)
        torch.addcmul(self.c1, p, p, out=p)
        torch.mul(q, q, out=q)
        u.sub_(p)
        w.sub_(q)
        torch.mul(p, w, out=s).addcmul_(q, u)
        p.mul_(u).addcmul_(q, w)
        return s.div_(p.add_(s))[first:].sum()


_Product = tuple[Tensor, Tensor, Tensor]
"""Two stacks of matrices, and the buffer of their products."""


def _blur_columns(x: Tensor, blurred: Tensor) -> list[_Product]:
    """Gaussian blur of columns, valid positions: (K, L, M) -> (K, L - 10, M), both contiguous."""
    maps, length, across = blurred.shape
    matrix, _ = _banded_gaussian(x.device)
    blocks, remainder = divmod(length, _BLOCK)
    full, products = blocks * _BLOCK, []
    if blocks:
        strides = (x.stride(0), _BLOCK * across, across, 1)
        windows = x.as_strided((maps, blocks, _BLOCK + _MARGIN, across), strides)
        products.append((matrix, windows, blurred[:, :full].unflatten(1, (blocks, _BLOCK))))
    if remainder:
        products.append((matrix[:remainder, : remainder + _MARGIN], x[:, full:], blurred[:, full:]))
    return products


def _blur_rows(x: Tensor, blurred: Tensor) -> list[_Product]:
    """Gaussian blur of rows, valid positions: (L, M) -> (L, M - 10), both contiguous."""
    rows, length = blurred.shape
    _, matrix = _banded_gaussian(x.device)
    blocks, remainder = divmod(length, _BLOCK)
    full, products = blocks * _BLOCK, []
    if blocks:
        windows = x.as_strided((blocks, rows, _BLOCK + _MARGIN), (_BLOCK, x.stride(0), 1))
        products.append((windows, matrix, blurred[:, :full].unflatten(1, (blocks, _BLOCK)).movedim(1, 0)))
    if remainder:
        products.append((x[:, full:], matrix[: remainder + _MARGIN, :remainder], blurred[:, full:]))
    return products


@lru_cache(maxsize=4)
def _banded_gaussian(device: torch.device) -> tuple[Tensor, Tensor]:
    """Banded matrix (block, block + 10) float64, the window shifted by one column per row; and its transpose."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    gaussian = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    matrix = torch.zeros((_BLOCK, _BLOCK + _MARGIN), dtype=torch.float64)
    for row in range(_BLOCK):
        matrix[row, row : row + WINDOW] = gaussian / gaussian.sum()
    return matrix.to(device), matrix.t().contiguous().to(device)
