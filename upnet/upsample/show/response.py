"""What an operator does to one pixel, and what that means for frequencies."""

import torch
from torch import Tensor

from upnet.upsample.base import Upsampler
from upnet.upsample.show.specimen import place_for

# Twice the pixels that the widest kernel shown reaches, and odd: the impulse stands in the middle.
LENGTH = 17
FREQUENCIES = 256


@torch.no_grad()
def impulse_response(operator: Upsampler) -> Tensor:
    """What becomes of a single 1 at the middle of 17×17 zeros, (17·s, 17·s), biases taken off.

    An operator that reads positions is given some: its response moves with them.
    """
    impulse = torch.zeros(1, operator.channels, LENGTH, LENGTH, dtype=torch.float64)
    impulse[..., LENGTH // 2, LENGTH // 2] = 1
    site = place_for(operator, impulse).site
    return (operator(impulse, site) - operator(torch.zeros_like(impulse), site))[0, 0]


def level(response: Tensor) -> Tensor:
    """How strongly each frequency passes, (256, 256) in dB below the strongest, zero frequency in the middle."""
    return _decibels(torch.fft.fft2(response, s=(FREQUENCIES, FREQUENCIES)))


def spectrum(picture: Tensor) -> Tensor:
    """How strong each frequency of a picture (C, H, W) is, (H, W) in dB below the strongest, zero in the middle.

    Of the mean over its channels, and without its mean. A Hann window keeps the border, where left meets right, from
    drawing a cross over everything.
    """
    grey = picture.mean(0)
    rows, cols = (torch.hann_window(length, periodic=False, dtype=grey.dtype) for length in grey.shape)
    return _decibels(torch.fft.fft2((grey - grey.mean()) * torch.outer(rows, cols)))


def _decibels(values: Tensor) -> Tensor:
    magnitude = torch.fft.fftshift(values.abs())
    return 20 * torch.log10((magnitude / magnitude.max().clamp(min=1e-30)).clamp(min=1e-10))
