"""A network on a colour picture."""

import torch
from torch import Tensor

from upnet.imresize import imresize
from upnet.metrics import rgb_of_ycbcr, ycbcr
from upnet.models.encoder_decoder import EncoderDecoder
from upnet.precision import whole_float32
from upnet.tiling import Tiling, enlarge_in_tiles


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
    with torch.autocast(weight.device.type, enabled=False), whole_float32():
        if net.channels == picture.shape[0]:
            return enlarge_in_tiles(net, picture[None], tile)[0]
        planes = ycbcr(picture)
        luma = enlarge_in_tiles(net, planes[None, :1], tile)[0]
        return rgb_of_ycbcr(torch.cat((luma, imresize(planes[1:], net.scale).to(luma))))
