"""Max-unpooling: each value returns to the position that its maximum was pooled from."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.memory_format import fold_vmap, is_channels_last, unfold_vmap

# Number of output values that a CPU processes at a time. They fit into its cache, and the chunks are few, since all
# threads are synchronised after each.
CHUNK = 1 << 20


class MaxUnpool(Upsampler):
    r"""y[indices[n]] = x[n], else 0: (N, C, h, w) -> (N, C, H, W), with the indices of the paired max-pooling.

    .. math:: y_c[q_c[n]] = x_c[n], \quad y_c[o] = 0 \text{ elsewhere}
    .. math:: q_c[n] = \operatorname{argmax}_{o \in \text{window } n} \text{skip}_c[o]

    Symbols: c is a channel; q_c[n] is the index that pooling window n stored; skip is the feature map before
    the pooling.

    The pooling has `kernel_size = stride = scale`, so that each index lies in its own s × s block; odd sizes are pooled
    with `ceil_mode=True`. Pooling the output again returns a non-negative input.

    Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    https://arxiv.org/abs/1511.00561

    >>> x, indices = F.max_pool2d(torch.tensor([[[[1.0, 5.0], [3.0, 2.0]]]]), 2, return_indices=True)
    >>> MaxUnpool(channels=1, scale=2)(x, Site(size=(2, 2), indices=indices)).tolist()
    [[[[0.0, 5.0], [0.0, 0.0]]]]
    """

    requires = frozenset({"indices"})

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, *site.size)."""
        indices = site.indices
        assert indices is not None
        if indices.shape != x.shape:
            raise ValueError(
                f"MaxUnpool needs one index for each value; got indices of {tuple(indices.shape)} for an input of "
                f"{tuple(x.shape)}. The channels must be those of the pooled features"
            )
        if torch.are_deterministic_algorithms_enabled() or torch.compiler.is_compiling():
            return _scatter(x, indices, site.size)
        out = _Unpool.apply(x, indices, site.size, int(self.scale))
        assert isinstance(out, Tensor)
        return out

    def multiply_adds(self, height: int, width: int) -> int:
        """Zero: values are copied."""
        return 0

    def input_support(self, output: int) -> range:
        """The input pixel of the pooling window that the output pixel lies in."""
        pixel = output // int(self.scale)
        return range(pixel, pixel + 1)


class _Unpool(torch.autograd.Function):
    """(N, C, h, w) -> (N, C, *size), each value to its position; the gradient is _Gather."""

    @staticmethod
    def forward(x: Tensor, indices: Tensor, size: tuple[int, int], scale: int) -> Tensor:
        if not _faster_in_chunks(x):
            return F.max_unpool2d(x, indices, [scale, scale], output_size=size)
        out = x.new_empty(*x.shape[:2], *size)
        for values, positions, out_chunk in _chunks(x, indices, out):
            out_chunk.zero_().scatter_(1, positions, values)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, indices, _, ctx.scale = inputs
        ctx.save_for_backward(indices)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        return _Gather.apply(gradients[0], ctx.saved_tensors[0], ctx.scale), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        (x, indices), (size, scale) = (fold_vmap(args[n], in_dims[n], info.batch_size) for n in (0, 1)), args[2:]
        return unfold_vmap(_Unpool.apply(x, indices, size, scale), info.batch_size)


class _Gather(torch.autograd.Function):
    """(N, C, H, W) -> (N, C, h, w), the values at the positions, without a change of the memory format.

    PyTorch's own gradient would copy a channels-last gradient to contiguous format first, and its result back.
    """

    @staticmethod
    def forward(x: Tensor, indices: Tensor, scale: int) -> Tensor:
        if not _faster_in_chunks(x):
            channels_last, size = is_channels_last(x), indices.shape[2:]
            axis, positions = _flatten(indices, channels_last)
            return _unflatten(_flatten(x, channels_last)[1].gather(axis, positions), size, channels_last)
        out, buffer = x.new_empty(indices.shape), x.new_empty(0)
        for values, positions, out_chunk in _chunks(x, indices, out):
            torch.gather(buffer.resize_(values.shape).copy_(values), 1, positions, out=out_chunk)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        x, indices, ctx.scale = inputs
        ctx.size = tuple(x.shape[2:])
        ctx.save_for_backward(indices)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        return _Unpool.apply(gradients[0], ctx.saved_tensors[0], ctx.size, ctx.scale), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        x, indices = (fold_vmap(args[n], in_dims[n], info.batch_size) for n in (0, 1))
        return unfold_vmap(_Gather.apply(x, indices, args[2]), info.batch_size)


def _faster_in_chunks(x: Tensor) -> bool:
    """Whether chunks of a few planes are faster: contiguous planes of 32 bits or more on a CPU."""
    return x.device.type == "cpu" and x.element_size() >= 4 and not is_channels_last(x)


def _chunks(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split maps with the same number of planes into chunks of a few planes, each (planes, height·width).

    Scattered access to main memory is slow. A chunk that is filled or copied in one pass first stays in the cache.
    """
    largest = max(x.shape[2] * x.shape[3] for x in maps)
    planes = [x.reshape(-1, x.shape[2] * x.shape[3]) for x in maps]
    return zip(*(x.split(max(1, CHUNK // largest)) for x in planes), strict=True)


def _scatter(x: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    # Deterministic mode refuses max_unpool2d, since with repeated indices the last write would win. Pooling windows
    # that do not overlap repeat none, and a scatter without repetition and its gradient, a gather, are deterministic.
    channels_last = is_channels_last(x)
    axis, values = _flatten(x, channels_last)
    shape = list(values.shape)
    shape[axis] = size[0] * size[1]
    return _unflatten(
        x.new_zeros(shape).scatter(axis, _flatten(indices, channels_last)[1], values), size, channels_last
    )


def _flatten(x: Tensor, channels_last: bool) -> tuple[int, Tensor]:
    """The axis of positions, and x in memory order: (N, C, h, w) -> (N, C, h·w), or (N, h·w, C) for channels last."""
    return (1, x.permute(0, 2, 3, 1).flatten(1, 2)) if channels_last else (2, x.flatten(2))


def _unflatten(x: Tensor, size: Sequence[int], channels_last: bool) -> Tensor:
    """The inverse: -> (N, C, *size)."""
    return x.unflatten(1, size).permute(0, 3, 1, 2) if channels_last else x.unflatten(2, size)
