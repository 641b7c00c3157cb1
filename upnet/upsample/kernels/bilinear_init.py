"""Initial weights with which a learned operator equals bilinear interpolation."""

import math

import torch
from torch import Tensor, nn

from upnet.upsample.base import Upsampler
from upnet.upsample.bilinear import Bilinear
from upnet.utils.errors import UserError
from upnet.utils.interpolation_kernels import tent
from upnet.utils.seeding import on_meta_device


def projection_init(channels: int, out_channels: int) -> Tensor:
    """(O, C) initial channel projection: the identity where O = C, else random as in a 1×1 convolution."""
    if channels == out_channels:
        return torch.eye(channels)
    return nn.init.uniform_(torch.empty(out_channels, channels), -(channels**-0.5), channels**-0.5)


def bilinear_transposed_kernel(kernel_size: int, scale: int, padding: int) -> Tensor:
    """(k,) float64: one axis of the transposed convolution that interpolates, y[o] = Σ w[o − s·n + p]·x[n].

    Raises UserError where the tent, 2·s − s%2 weights wide, does not fit into the kernel.

    >>> bilinear_transposed_kernel(kernel_size=4, scale=2, padding=1).tolist()
    [0.25, 0.75, 0.75, 0.25]
    """
    width = 2 * scale - scale % 2
    if kernel_size < width:
        raise UserError(
            f"init=bilinear needs a kernel as wide as the tent, {width} at scale {scale}",
            setting="kernel_size",
            value=kernel_size,
            allowed=f"{width} or more",
            cure="Or set init=plain",
        )
    return tent((torch.arange(kernel_size, dtype=torch.float64) - padding - (scale - 1) / 2) / scale)


def bilinear_phase_kernels(kernel_size: int, scale: int) -> Tensor:
    """(s, k) float64: one axis of the s convolutions on the input grid that interpolate, one per output phase.

    Raises UserError for kernel size 1, which reads no neighbours.

    >>> bilinear_phase_kernels(kernel_size=3, scale=2).tolist()
    [[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]]
    """
    if kernel_size < 3 and scale > 1:
        raise UserError(
            "init=bilinear needs a kernel that reads neighbouring pixels",
            setting="kernel_size",
            value=kernel_size,
            allowed="3, 5, 7, …",
            cure="Or choose another init",
        )
    positions = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    return tent(positions[:, None] - (torch.arange(kernel_size) - kernel_size // 2))


@torch.no_grad()
def fit_bilinear_correction(fixed: Upsampler, kernel_size: int) -> Tensor:
    """(k,) float64: one axis of the convolution that turns the output of `fixed` into bilinear interpolation.

    fixed: an operator of one channel.

    Raises UserError where no kernel of that size does.

    >>> from upnet.upsample import Nearest
    >>> fit_bilinear_correction(Nearest(channels=1, scale=2), kernel_size=3)
    tensor([0.2500, 0.5000, 0.2500], dtype=torch.float64)
    """
    if on_meta_device():
        return torch.empty(kernel_size)
    if not fixed.requires:
        # Least squares over all windows of the impulse responses, away from the borders.
        margin = kernel_size + math.ceil(4 * fixed.scale)
        length = math.ceil(2 * margin / fixed.scale) + 60
        units = torch.eye(length, dtype=torch.float64).view(length, 1, 1, length)
        responses, targets = (op.double().upsample_full(units)[:, 0, 0] for op in (fixed, Bilinear(1, fixed.scale)))
        windows = responses.unfold(1, kernel_size, 1)[:, margin:-margin].reshape(-1, kernel_size)
        centres = targets[:, kernel_size // 2 :][:, margin : margin + windows.shape[0] // length].reshape(-1, 1)
        kernel = torch.linalg.lstsq(windows, centres, driver="gelsy").solution
        if (windows @ kernel - centres).abs().max() < 1e-9:
            return torch.where(kernel.abs() < 1e-9, 0.0, kernel)[:, 0]
    raise UserError(
        f"no {kernel_size}×{kernel_size} convolution turns {type(fixed).__name__} at scale {fixed.scale} into "
        "bilinear interpolation",
        setting="init",
        value="bilinear",
        cure="Set fixed to Bilinear, a larger kernel_size after Nearest, or init=plain",
    )
