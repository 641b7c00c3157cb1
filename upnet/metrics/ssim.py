"""Structural similarity of one picture.

Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004,
https://doi.org/10.1109/TIP.2003.819861, with the paper's own settings: a Gaussian window of 11x11 and sigma 1.5,
population moments (the weights add up to 1), K1 = 0.01, K2 = 0.03, and only positions where the whole window lies
inside the picture.
"""

import torch
from torch import Tensor

__all__ = ["SIGMA", "WINDOW", "ssim"]

WINDOW, SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
# A block of output rows is one product with a banded matrix: 8 rows read 18. Shorter blocks make more calls, longer
# ones multiply by more zeros. A band of the picture and its four maps stays in the cache; a GPU takes all of it.
_BLOCK, _BAND = 8, 48


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
    positions = height - WINDOW + 1
    band = positions if output.is_cuda else _BAND
    matrix = _banded_gaussian().to(output.device)
    totals: list[Tensor] = []
    with torch.no_grad():
        for first in range(0, positions, band):
            rows = slice(first, min(first + band, positions) + WINDOW - 1)
            for x, y in zip(output[:, rows], target[:, rows], strict=True):
                totals.append(_sum_of_band(x, y, peak, matrix))
    return torch.stack(totals).sum().item() / (channels * positions * (width - WINDOW + 1))


def _sum_of_band(x: Tensor, y: Tensor, peak: float, matrix: Tensor) -> Tensor:
    """Sum of the SSIM map of two (H, W), with few passes over the pixels.

    With a = x + y and b = x - y, the blurs m and variances v of a and b hold all that SSIM asks for, since
    4 mx my = ma^2 - mb^2 and 2 (mx^2 + my^2) = ma^2 + mb^2, and so for the variances. With p = ma^2 + 2 C1, q = mb^2,
    u = va + 2 C2 and w = vb, SSIM = (p - q)(u - w) / ((p + q)(u + w)) = 1 - 2 s / (s + r), where s = p w + q u and
    r = p u + q w.
    """
    height, width = x.shape
    x, y = x.to(torch.float64), y.to(torch.float64)
    c1 = torch.tensor(2 * (_K1 * peak) ** 2, dtype=torch.float64, device=x.device)
    c2 = torch.tensor(2 * (_K2 * peak) ** 2, dtype=torch.float64, device=x.device)
    maps = torch.empty((4, height, width), dtype=torch.float64, device=x.device)
    torch.add(x, y, out=maps[0])
    torch.sub(x, y, out=maps[1])
    # A blur keeps constants, so that both constants can be added here, at no cost.
    torch.addcmul(c1 + c2, maps[0], maps[0], out=maps[2])
    torch.mul(maps[1], maps[1], out=maps[3])
    blurred = maps.new_empty(4, height - WINDOW + 1, width)
    for source, goal in zip(maps, blurred, strict=True):
        _blur_rows(source, matrix, goal)
    # Turned as one matrix, which torch does much faster than a permutation of three axes.
    turned = blurred.view(-1, width).t().contiguous()
    moments = turned.new_empty(width - WINDOW + 1, turned.shape[1])
    _blur_rows(turned, matrix, moments)
    mean_a, mean_b, u, w = moments.view(len(moments), 4, -1).unbind(1)
    p, q = torch.addcmul(c1, mean_a, mean_a), mean_b.square()
    u, w = u.sub_(p), w.sub_(q)
    s, r = torch.addcmul(p * w, q, u), p.mul_(u).addcmul_(q, w)
    return s.numel() - 2 * s.div_(r.add_(s)).sum()


def _blur_rows(x: Tensor, matrix: Tensor, blurred: Tensor) -> None:
    """Gaussian down the columns where the window fits: (L, M) -> (L - 10, M), both contiguous float64."""
    positions, across = blurred.shape
    blocks, rest = divmod(positions, _BLOCK)
    whole = blocks * _BLOCK
    if blocks:
        windows = x.as_strided((blocks, matrix.shape[1], across), (_BLOCK * across, across, 1), x.storage_offset())
        torch.matmul(matrix, windows, out=blurred[:whole].view(blocks, _BLOCK, across))
    if rest:
        torch.matmul(matrix[:rest, : rest + WINDOW - 1], x[whole:], out=blurred[whole:])


def _banded_gaussian() -> Tensor:
    """(block, block + 10) float64: the window, its sum 1, one row further to the right in each row."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    gaussian = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    matrix = torch.zeros((_BLOCK, _BLOCK + WINDOW - 1), dtype=torch.float64)
    for row in range(_BLOCK):
        matrix[row, row : row + WINDOW] = gaussian / gaussian.sum()
    return matrix
