"""Upscale an image tensor with a network: colour handling and self-ensemble."""

from collections.abc import Callable

import torch
from torch import Tensor

from upnet.imaging.colour import rgb_to_ycbcr, ycbcr_to_rgb
from upnet.imaging.imresize import imresize
from upnet.inference.tiling import Tiling, upscale_in_tiles
from upnet.models.encoder_decoder import EncoderDecoder
from upnet.utils.device import no_tf32


@torch.no_grad()
def upscale_tensor(net: EncoderDecoder, image: Tensor, tile: Tiling = "auto") -> Tensor:
    """Upscale an RGB image: (3, h, w) in [0, 1] -> (3, scale·h, scale·w) float32, not clamped, on the network's device.

    A network with one channel upscales the luma, and bicubic interpolation the two chroma channels. Such a network also
    accepts luma alone: (1, h, w) -> (1, scale·h, scale·w).

    tile: the side of the tiles in LR pixels. A tile is computed with the context that its pixels depend on, so that the
          output equals that of the whole image. `none`: the whole image; `auto`: the whole image if it fits into
          memory, else tiles whose side is halved until they fit.

    Raises UserError for other values of `tile`, UnknownReceptiveFieldError if tiles are requested and a module of the
    network doesn't declare its receptive field, and ImageTooLargeError if the memory is too small.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> srcnn = EncoderDecoder(2, 1, partial(ConvStack, layers=[8, 8]), block=None, upsampler=None)
    >>> upscale_tensor(srcnn, torch.rand(3, 9, 8)).shape
    torch.Size([3, 18, 16])
    """
    weight = next(net.parameters())
    image = image.to(device=weight.device, dtype=torch.float32)
    with torch.autocast(weight.device.type, enabled=False), no_tf32():
        if net.channels == image.shape[0]:
            return upscale_in_tiles(net, image[None], tile)[0]
        channels = rgb_to_ycbcr(image)
        luma = upscale_in_tiles(net, channels[None, :1], tile)[0]
        chroma = imresize(channels[1:], net.scale).to(luma)
        return ycbcr_to_rgb(torch.cat((luma, chroma)))


@torch.no_grad()
def self_ensemble(upscale: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Average the outputs for the eight rotations and reflections of the image, each transformed back, in float32.

    upscale: (C, h, w) -> (C, s·h, s·w), for any h and w; it is called eight times.
    image:   (C, h, w).

    The result is equivariant to these rotations and reflections.

    Sources: "enhanced prediction" in Timofte, Rothe, Van Gool, "Seven ways to improve example-based single image super
    resolution", 2016, https://arxiv.org/abs/1511.02228; "geometric self-ensemble" in Lim et al., "Enhanced Deep
    Residual Networks for Single Image Super-Resolution", 2017, https://arxiv.org/abs/1707.02921

    >>> image = torch.rand(3, 4, 5)
    >>> torch.allclose(self_ensemble(lambda x: x, image), image)
    True
    """
    total: Tensor | None = None
    for mirrored in (False, True):
        for quarter_turns in range(4):
            transformed = torch.rot90(image.flip(2) if mirrored else image, quarter_turns, (1, 2))
            output = torch.rot90(upscale(transformed.contiguous()).to(torch.float32), -quarter_turns, (1, 2))
            output = output.flip(2) if mirrored else output
            # A running sum, so that at most two of the eight outputs are in memory.
            total = output.clone() if total is None else total.add_(output)
            del output
    assert total is not None
    return total.div_(8)
