"""A network on a colour picture."""

from collections.abc import Callable

import torch
from torch import Tensor

from upnet.imaging.colour import rgb_to_ycbcr, ycbcr_to_rgb
from upnet.imaging.imresize import imresize
from upnet.inference.tiling import Tiling, enlarge_in_tiles
from upnet.models.encoder_decoder import EncoderDecoder
from upnet.utils.device import no_tf32


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


@torch.no_grad()
def enlarge(net: EncoderDecoder, picture: Tensor, tile: Tiling = "auto") -> Tensor:
    """(3, h, w) in [0, 1] -> (3, scale·h, scale·w) about [0, 1], in float32, on the network's device.

    A network of one channel enlarges the luma, and the two colour differences come from bicubic interpolation; it also
    takes a plane of luma alone, (1, h, w) -> (1, scale·h, scale·w).

    tile: the side, in LR pixels, of the tiles that the network is given one after the other, each with as much around
          it as the network looks at, so that the output is that of the whole picture; `none` for the whole picture,
          and `auto` for the whole picture where it fits into memory, and for tiles half as large until they do where
          it doesn't.

    Raises ValueError for other values of `tile`; for tiles where a part of the network doesn't say how far its pixels
    look; and with `auto` where not even the smallest tile fits.
    """
    weight = next(net.parameters())
    picture = picture.to(device=weight.device, dtype=torch.float32)
    with torch.autocast(weight.device.type, enabled=False), no_tf32():
        if net.channels == picture.shape[0]:
            return enlarge_in_tiles(net, picture[None], tile)[0]
        planes = rgb_to_ycbcr(picture)
        luma = enlarge_in_tiles(net, planes[None, :1], tile)[0]
        return ycbcr_to_rgb(torch.cat((luma, imresize(planes[1:], net.scale).to(luma))))
