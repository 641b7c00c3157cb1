"""Max-unpooling: every value returns to the place its maximum was pooled from."""

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
        if not torch.are_deterministic_algorithms_enabled():
            return F.max_unpool2d(x, indices, [int(self.scale)] * 2, output_size=site.size)
        # torch refuses its own kernel here, since positions might occur twice. Pools that don't overlap leave none
        # twice, and then a scatter is deterministic on every device, forward and backward.
        flat = x.new_zeros(*x.shape[:2], site.size[0] * site.size[1])
        grown = flat.scatter(2, indices.flatten(2), x.flatten(2)).unflatten(2, site.size)
        return grown.contiguous(memory_format=torch.channels_last) if channels_last(x) else grown

    def multiply_adds(self, height: int, width: int) -> int:
        """None of any: values are moved."""
        return 0
