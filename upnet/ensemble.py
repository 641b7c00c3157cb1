"""The geometric self-ensemble: the mean over the eight turns and mirror images of a picture."""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def x8(net_call: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
    """The mean of what `net_call` makes of the picture's eight turns and mirror images, each turned back, in float32.

    net_call: (C, h, w) -> (C, s·h, s·w), for any h and w; it is called eight times.
    picture:  (C, h, w); it need not be square.

    The mean turns as the picture turns. "Enhanced prediction" in: Timofte, Rothe, Van Gool, "Seven ways to improve
    example-based single image super resolution", 2016, https://arxiv.org/abs/1511.02228; "geometric self-ensemble" in:
    Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017,
    https://arxiv.org/abs/1707.02921.
    """
    total: Tensor | None = None
    for mirrored in (False, True):
        for quarters in range(4):
            turned = torch.rot90(picture.flip(2) if mirrored else picture, quarters, (1, 2))
            larger = torch.rot90(net_call(turned.contiguous()).to(torch.float32), -quarters, (1, 2))
            larger = larger.flip(2) if mirrored else larger
            # One sum, so that no more than two of the eight large pictures are in memory at a time.
            total = larger.clone() if total is None else total.add_(larger)
            del larger
    assert total is not None
    return total.div_(8)
