"""A network on a colour picture."""

import torch
from torch import Tensor

from upnet.imresize import imresize
from upnet.metrics import rgb_of_ycbcr, ycbcr
from upnet.models.encoder_decoder import EncoderDecoder


@torch.no_grad()
def enlarge(net: EncoderDecoder, rgb: Tensor) -> Tensor:
    """(3, h, w) in [0, 1] -> (3, scale·h, scale·w) about [0, 1], in float32, on the network's device.

    A network of one channel enlarges the luma; the two colour differences come from bicubic interpolation.
    """
    weight = next(net.parameters())
    rgb = rgb.to(device=weight.device, dtype=torch.float32)
    with torch.autocast(weight.device.type, enabled=False):
        if net.channels == 3:
            return net(rgb[None])[0]
        planes = ycbcr(rgb)
        luma = net(planes[None, :1])[0]
        return rgb_of_ycbcr(torch.cat((luma, imresize(planes[1:], net.scale).to(luma))))
