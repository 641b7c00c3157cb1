"""Bicubic resizing, bit-exact to MATLAB's `imresize`.

The kernel is Keys' cubic convolution with a = -0.5. For downscaling it is widened by 1/scale (antialiasing). Weights
are divided by their sum. Rows are resized first, then columns.

For scale = p/q every weight is a ratio of integers, and the weights are computed as such. Sums over uint8 pixels are
therefore exact in float64, and rounding of ties depends neither on the order of summation nor on the device.

Symbols: scale = p/q in lowest terms; o and i are output and input indices; L is the length of the axis that is resized,
M the number of values across it.

Keys, "Cubic convolution interpolation for digital image processing", 1981,
https://doi.org/10.1109/TASSP.1981.1163711
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from numbers import Rational
from typing import Literal, cast, get_args, overload

import numpy as np
import torch
from torch import Tensor

from upnet.utils.interpolation_kernels import border_indices, keys_polynomials

__all__ = ["Border", "imresize", "resized_length"]

Border = Literal["symmetric", "replicate"]
"""The borders of `upnet.utils.interpolation_kernels.Border` that MATLAB uses, depending on its release."""

_LARGEST_SCALE = 1024
# A float within this relative distance of a fraction with a small denominator stands for it: 1/3, 0.7, 1 - 2/3.
_TOLERANCE, _SMALL_DENOMINATOR = 1e-12, 10_000
# float64 is exact for integers below 2**53. If the absolute numerators of a row sum to at most this, then the sum over
# pixels up to 255, half a denominator added to it, and the floor of the quotient are exact as well.
_EXACT = 2**53 // 1024
# One block's input, 1 MiB of float64, stays in a core's cache; a GPU is faster with few, large blocks.
_BLOCK_VALUES, _LONGEST_BLOCK, _BLOCK_ON_GPU = 2**17, 96, 256


@overload
def imresize(image: np.ndarray, scale: float | Fraction, border: Border = "symmetric") -> np.ndarray: ...
@overload
def imresize(image: Tensor, scale: float | Fraction, border: Border = "symmetric") -> Tensor: ...
def imresize(image: np.ndarray | Tensor, scale: float | Fraction, border: Border = "symmetric") -> np.ndarray | Tensor:
    """Resize an image as MATLAB's `imresize(image, scale, "bicubic")` does, with antialiasing for downscaling.

    image:  array (H, W) or (H, W, C), or tensor (..., H, W) on any device with float64.
            uint8 returns uint8, rounded (half away from zero) and clamped to 0..255 after each of the two passes.
            Floating point of any range returns the same dtype, neither rounded nor clamped, computed in float64.
            Floating-point tensors propagate gradients.
    scale:  from 1/1024 to 1024: 2 doubles the size, Fraction(1, 2) or 0.5 halves it. A float close to a simple fraction
            is replaced by it: 1/3 is exactly a third. The result has size (ceil(scale * H), ceil(scale * W)).
    border: values outside the image: "symmetric" mirrors it (current MATLAB releases, DIV2K), "replicate" repeats its
            outermost pixels (older releases, and the published LR images of Set5, Set14, BSD100 and Urban100).

    Raises ValueError for other dtypes, shapes, scales and borders, and for empty images.

    >>> imresize(np.arange(0, 160, 10, dtype=np.uint8).reshape(4, 4), 0.5).tolist()
    [[23, 43], [107, 127]]
    """
    if border not in get_args(Border):
        raise ValueError(f"imresize: border must be one of {', '.join(get_args(Border))}; got {border!r}")
    fraction = _fraction(scale)
    if isinstance(image, Tensor):
        return _resize_tensor(image, fraction, border)
    return _resize_array(image, fraction, border)


def resized_length(length: int, scale: float | Fraction) -> int:
    """Size of an axis after resizing, ceil(scale * length), without float errors.

    >>> resized_length(300, 1 / 3)
    100
    """
    fraction = _fraction(scale)
    return -(-length * fraction.numerator // fraction.denominator)


def _resize_tensor(image: Tensor, scale: Fraction, border: Border) -> Tensor:
    """`imresize` of a tensor (..., H, W)."""
    _check(image.shape, str(image.dtype), image.dtype == torch.uint8 or image.is_floating_point())
    rows = _resize_rows(image.reshape(-1, *image.shape[-2:]), scale, border)
    columns = _resize_rows(rows.transpose(1, 2).contiguous(), scale, border)
    resized = columns.transpose(1, 2).contiguous().to(image.dtype)
    return resized.reshape(*image.shape[:-2], *resized.shape[-2:])


def _resize_array(image: np.ndarray, scale: Fraction, border: Border) -> np.ndarray:
    """`imresize` of an array (H, W) or (H, W, C).

    Channels stay interleaved: both passes treat them as more values across the axis.
    """
    if not isinstance(image, np.ndarray):
        raise ValueError(f"imresize: image must be a NumPy array or a torch tensor; got {type(image).__name__}")
    native = image.astype(image.dtype.newbyteorder("="), copy=False)
    _check(image.shape, str(image.dtype), native.dtype in (np.uint8, np.float16, np.float32, np.float64))
    if image.ndim > 3:
        raise ValueError(
            f"imresize: an array must be (H, W) or (H, W, C); got {image.shape}; a tensor may be (..., H, W)"
        )
    height, width = image.shape[:2]
    x = torch.from_numpy(np.require(native, requirements=["C", "W"])).reshape(1, height, -1)
    rows = _resize_rows(x, scale, border)
    # Transposed, (h, W, C) is (W, C, h): the values across the axis are channels and rows.
    transposed = rows[0].t().contiguous().reshape(1, width, -1)
    columns = _resize_rows(transposed, scale, border)
    resized = columns.reshape(-1, rows.shape[1]).t().contiguous().numpy().astype(native.dtype, copy=False)
    return resized.reshape(rows.shape[1], columns.shape[1], *image.shape[2:])


def _check(shape: tuple[int, ...], dtype: str, supported: bool) -> None:
    if not supported:
        raise ValueError(f"imresize: image must be uint8 or floating point; got {dtype}; convert it to float64 first")
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"imresize: image must have a height and a width of at least 1; got shape {tuple(shape)}")


def _fraction(scale: float | Fraction) -> Fraction:
    scale = scale if isinstance(scale, Rational) else float(scale)
    if isinstance(scale, float) and not math.isfinite(scale):
        raise ValueError(f"imresize: scale must be finite; got {scale}")
    exact = Fraction(scale)
    if not Fraction(1, _LARGEST_SCALE) <= exact <= _LARGEST_SCALE:
        raise ValueError(f"imresize: scale must lie between 1/{_LARGEST_SCALE} and {_LARGEST_SCALE}; got {scale}")
    if isinstance(scale, float):
        near = exact.limit_denominator(_SMALL_DENOMINATOR)
        if abs(near - exact) <= _TOLERANCE * exact:
            return near
    return exact


def _resize_rows(x: Tensor, scale: Fraction, border: Border) -> Tensor:
    """Resize one axis: (N, L, M) -> (N, ceil(scale * L), M). uint8 stays uint8; other dtypes become float64.

    Neighbouring output rows share most of their input rows, so a block of them is one small matrix product.
    """
    length, across = x.shape[1], x.shape[0] * x.shape[2]
    window = _BLOCK_ON_GPU if x.is_cuda else min(max(_BLOCK_VALUES // across, 1), _LONGEST_BLOCK)
    plan = _plan(length, scale, window)
    quantised = x.dtype == torch.uint8
    weights = torch.from_numpy(plan.numerators if quantised else plan.numerators / plan.denominators).to(x.device)
    denominators = torch.from_numpy(plan.denominators).to(x.device)
    blocks: list[Tensor] = []
    for block, start in enumerate(plan.starts):
        stop = start + weights.shape[2]
        if start >= 0 and stop <= length:
            source = x[:, start:stop]
        else:
            source = x[:, border_indices(torch.arange(start, stop, device=x.device), length, border)]
        values = weights[block] @ source.to(torch.float64)
        if quantised:
            # floor(v + 1/2) rounds half away from zero for v >= 0; negative values are clamped to 0.
            denominator = denominators[block]
            values = values.add_(denominator / 2).div_(denominator).clamp_(0, 255).to(torch.uint8)
        blocks.append(values)
    return torch.cat(blocks, dim=1)[:, : resized_length(length, scale)]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The banded matrix that resizes an axis of a given length, split into blocks of R output rows and V input rows.

    starts:       the first input row of each block. Input rows may be outside the image.
    numerators:   (blocks, R, V) float64: integers wherever sums over uint8 pixels stay exact.
    denominators: (blocks, R, 1) float64: the sum of the numerators of each row.
    """

    starts: tuple[int, ...]
    numerators: np.ndarray
    denominators: np.ndarray


@lru_cache(maxsize=64)
def _plan(length: int, scale: Fraction, window: int) -> _Plan:
    """A block has the output rows of `window` input rows, but at least 8, and at least those of 8 input rows."""
    p, q = scale.numerator, scale.denominator
    out_length = resized_length(length, scale)
    rows = min(max(8, 8 * p // q, window * p // q), out_length)
    o = np.arange(-(-out_length // rows) * rows)
    # Weights are periodic: output o + p has the weights of output o, shifted by q inputs.
    first, numerators, denominators = _taps(min(p, len(o)), scale)
    phase = o % p
    first = (first[phase] + o // p * q).reshape(-1, rows)
    starts = first.min(axis=1)
    columns = (first - starts[:, None])[..., None] + np.arange(numerators.shape[1])
    matrices = np.zeros((*first.shape, int(columns.max()) + 1))
    np.put_along_axis(matrices, columns, numerators[phase].reshape(*first.shape, -1), axis=2)
    return _Plan(tuple(starts.tolist()), matrices, denominators[phase].reshape(*first.shape, 1))


def _taps(outputs: int, scale: Fraction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First input pixel (outputs,), numerators (outputs, taps), denominators (outputs,) of the first `outputs` pixels.

    Output o sits at u = (o + 1/2) q/p - 1/2 of the input. The kernel's argument for input i is (u - i) min(1, p/q), or
    n/d with d = 2 max(p, q) and n = (2o + 1) q - p - 2 p i.
    """
    p, q = scale.numerator, scale.denominator
    d = 2 * max(p, q)
    # Python's integers, which don't overflow: a float scale that is no simple fraction has a denominator up to 2**62.
    centre = np.array([(2 * o + 1) * q - p for o in range(outputs)], dtype=object)
    first = (centre - 2 * d) // (2 * p) + 1
    taps = np.array(range(-(-2 * d // p)), dtype=object)
    n = abs(centre[:, None] - 2 * p * (first[:, None] + taps))
    inner, outer = keys_polynomials(n, d, -1, 2)  # a = -1/2
    numerators = np.where(n <= d, inner, np.where(n < 2 * d, outer, 0))
    numerators //= np.gcd.reduce(numerators, axis=1)[:, None]
    denominators = numerators.sum(axis=1)
    if abs(numerators).sum(axis=1).max() > _EXACT:
        numerators, denominators = numerators / denominators[:, None], np.ones(outputs)
    return (
        first.astype(np.int64),
        cast(np.ndarray, numerators.astype(np.float64)),
        cast(np.ndarray, denominators.astype(np.float64)),
    )
