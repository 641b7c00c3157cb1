"""Max-unpooling: every value returns to the place its maximum was pooled from."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.memory_format import channels_last, folded, unfolded

# How many values of the output a CPU moves at a time: they stay in its cache, and there are few such parts. Each waits
# for all threads, and where other work holds one of them up it waits long.
NEAR = 1 << 20


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

    def input_support(self, output: int) -> range:
        """The one whose pool it lies in."""
        own = output // int(self.scale)
        return range(own, own + 1)


class _Unpool(torch.autograd.Function):
    """(N, C, h, w) -> (N, C, *size), each value to its position; the way back is _Pick."""

    @staticmethod
    def forward(x: Tensor, indices: Tensor, size: tuple[int, int], scale: int) -> Tensor:
        if not _better_in_parts(x):
            return F.max_unpool2d(x, indices, [scale, scale], output_size=size)
        grown = x.new_empty(*x.shape[:2], *size)
        for values, places, into in _parts(x, indices, grown):
            into.zero_().scatter_(1, places, values)
        return grown

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, indices, _, ctx.scale = inputs
        ctx.save_for_backward(indices)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        return _Pick.apply(gradients[0], ctx.saved_tensors[0], ctx.scale), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        x, indices, size, scale = args
        x, indices = folded(x, in_dims[0], info.batch_size), folded(indices, in_dims[1], info.batch_size)
        return unfolded(_Unpool.apply(x, indices, size, scale), info.batch_size)


class _Pick(torch.autograd.Function):
    """(N, C, H, W) -> (N, C, h, w), what lies at the positions, looked up in whatever memory format it lies in.

    torch's own way back would first copy a gradient with the channels last into planes, and its own result again.
    """

    @staticmethod
    def forward(grown: Tensor, indices: Tensor, scale: int) -> Tensor:
        if not _better_in_parts(grown):
            last, size = channels_last(grown), indices.shape[2:]
            axis, places = _places(indices, last)
            return _pictures(_places(grown, last)[1].gather(axis, places), size, last)
        x, spare = grown.new_empty(indices.shape), grown.new_empty(0)
        for values, places, into in _parts(grown, indices, x):
            torch.gather(spare.resize_(values.shape).copy_(values), 1, places, out=into)
        return x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        grown, indices, ctx.scale = inputs
        ctx.size = tuple(grown.shape[2:])
        ctx.save_for_backward(indices)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        return _Unpool.apply(gradients[0], ctx.saved_tensors[0], ctx.size, ctx.scale), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        grown, indices, scale = args
        grown, indices = folded(grown, in_dims[0], info.batch_size), folded(indices, in_dims[1], info.batch_size)
        return unfolded(_Pick.apply(grown, indices, scale), info.batch_size)


def _better_in_parts(x: Tensor) -> bool:
    """Whether planes come faster a few at a time. On a CPU wide values do; narrow ones, such as bfloat16, don't."""
    return x.device.type == "cpu" and x.element_size() >= 4 and not channels_last(x)


def _parts(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Maps of equally many planes -> each as (planes, places), a few planes at a time, as many as a cache holds.

    Moved about directly, values are fetched from memory and written to it in an order that is almost theirs, which is
    half as fast: so each part is filled with zeros, or copied, in one sweep first, and moved about where it is near.
    """
    largest = max(x.shape[2] * x.shape[3] for x in maps)
    lines = [x.reshape(-1, x.shape[2] * x.shape[3]) for x in maps]
    return zip(*(x.split(max(1, NEAR // largest)) for x in lines), strict=True)


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
