"""Max-unpooling: every value returns to the place its maximum was pooled from."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.layout import channels_last


class MaxUnpool(Upsampler):
    """y[indices[n]] = x[n], else 0: (N, C, h, w) -> (N, C, H, W), by the positions that the paired max-pooling left.

    The pooling is the one with `kernel_size = stride = scale`, so that every position lies in its own block of
    s × s pixels; odd sizes pool with `ceil_mode=True`. Pooling the result again returns a non-negative input.

    Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    https://arxiv.org/abs/1511.00561
    """

    requires = frozenset({"indices"})

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, *site.size)."""
        indices = site.indices
        assert indices is not None
        if indices.shape != x.shape:
            raise ValueError(
                f"MaxUnpool: one position belongs to every value; got {tuple(indices.shape)} positions for an input of "
                f"{tuple(x.shape)}. Channels have to be those of the pooled features"
            )
        if torch.are_deterministic_algorithms_enabled() or torch.compiler.is_compiling():
            return _scattered(x, indices, site.size)
        grown = _Unpool.apply(x, indices, site.size, int(self.scale))
        assert isinstance(grown, Tensor)
        return grown

    def multiply_adds(self, height: int, width: int) -> int:
        """None of any: values are moved."""
        return 0

    def touched(self, output: int) -> range:
        """The one whose pool it lies in."""
        own = output // int(self.scale)
        return range(own, own + 1)


class _Unpool(torch.autograd.Function):
    """torch's kernel forward; backward each value is looked up where the gradient lies, in whatever memory format.

    torch's own way back would first copy a gradient with the channels last into planes, and its own result again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor, size: tuple[int, int], scale: int) -> Tensor:
        ctx.save_for_backward(indices)
        return F.max_unpool2d(x, indices, [scale, scale], output_size=size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (indices,) = ctx.saved_tensors
        last, size = channels_last(gradients[0]), indices.shape[2:]
        axis, places = _places(indices, last)
        return _pictures(_places(gradients[0], last)[1].gather(axis, places), size, last), None, None, None


def _scattered(x: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    # torch refuses its own kernel in deterministic mode, since positions might occur twice, and then the last one
    # written would win. Pools that don't overlap leave none twice, and a scatter without repetition, like the gather
    # that is its gradient, is deterministic on every device.
    last = channels_last(x)
    axis, values = _places(x, last)
    shape = list(values.shape)
    shape[axis] = size[0] * size[1]
    return _pictures(x.new_zeros(shape).scatter(axis, _places(indices, last)[1], values), size, last)


def _places(x: Tensor, last: bool) -> tuple[int, Tensor]:
    """The axis of places, and x as it lies in memory: (N, C, h, w) -> (N, C, h·w), or (N, h·w, C)."""
    return (1, x.permute(0, 2, 3, 1).flatten(1, 2)) if last else (2, x.flatten(2))


def _pictures(x: Tensor, size: Sequence[int], last: bool) -> Tensor:
    """Back to (N, C, *size)."""
    return x.unflatten(1, size).permute(0, 3, 1, 2) if last else x.unflatten(2, size)
