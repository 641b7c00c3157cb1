"""Max-unpooling: every value returns to the place its maximum was pooled from."""

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler


class MaxUnpool(Upsampler):
    """y[indices[n]] = x[n], else 0: (N, C, h, w) -> (N, C, H, W), by the positions that the paired max-pooling left.

    The pooling is the one with `kernel_size = stride = scale`, so that every position lies in its own block of
    s × s pixels; odd sizes pool with `ceil_mode=True`. Pooling the result again returns a non-negative input.

    Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    https://arxiv.org/abs/1511.00561
    """

    requires = frozenset({"indices"})

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, s·h, s·w), cropped to the site afterwards."""
        indices = site.indices
        assert indices is not None
        if indices.shape != x.shape:
            raise ValueError(
                f"MaxUnpool: one position belongs to every value; got {tuple(indices.shape)} positions for an input of "
                f"{tuple(x.shape)}. Channels have to be those of the pooled features"
            )
        s, (_, width) = int(self.scale), site.size
        # Which of the s·s places of its own block each maximum came from. Writing every block in full, zeros and all,
        # is one pass without a scatter: deterministic on every device, forward and backward.
        rows = torch.div(indices, width, rounding_mode="floor") % s
        cols = indices % width % s
        places = torch.arange(s * s, device=x.device).view(s * s, 1, 1)
        hit = (rows * s + cols)[:, :, None] == places  # (N, C, s*s, h, w)
        return torch.nn.functional.pixel_shuffle((x[:, :, None] * hit).flatten(1, 2), s)

    def multiply_adds(self, height: int, width: int) -> int:
        """None of any: values are moved."""
        return 0
