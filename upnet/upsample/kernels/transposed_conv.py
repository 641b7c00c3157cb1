"""Transposed convolution with an output exactly `stride` times as large as its input, fast on a CPU."""

from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.upsample.kernels.autocast import cast_for_autocast
from upnet.upsample.kernels.memory_format import NARROW, interleave_phases, is_channels_last, on_cpu


class TransposedConv(nn.ConvTranspose2d):
    """nn.ConvTranspose2d with a fixed padding: (N, C, h, w) -> (N, O, s·h, t·w) with stride (s, t).

    The padding is p = ⌈(k − s)/2⌉ and the output padding 2·p − (k − s). Parameters, state dict, hooks, pruning and
    parametrisations of `weight` are those of nn.ConvTranspose2d.

    On a CPU, inputs in contiguous format and few output channels are computed as s·t small convolutions, one per output
    phase, where that is faster; the order of summation then differs. Otherwise PyTorch's kernel is used, with a
    separate sum for the gradient of the bias.

    >>> TransposedConv(8, 3, (6, 6), (2, 2))(torch.zeros(1, 8, 5, 4)).shape
    torch.Size([1, 3, 10, 8])
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        stride: tuple[int, int],
        bias: bool = True,
    ) -> None:
        (k, m), (s, t) = kernel_size, stride
        padding = ceil((k - s) / 2), ceil((m - t) / 2)
        output_padding = 2 * padding[0] - (k - s), 2 * padding[1] - (m - t)
        super().__init__(channels, out_channels, kernel_size, stride, padding, output_padding, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, t·w)."""
        if output_size is not None or input.dim() != 4 or not on_cpu(input):
            return super().forward(input, output_size)
        return self._by_phases(input) if self._faster_by_phases(input) else self._direct(input)

    def input_support(self, output: int) -> range:
        """Row indices n of the inputs of output row o, 0 ≤ o − s·n + p < k."""
        s, k, padding = self.stride[0], self.kernel_size[0], int(self.padding[0])
        return range(-((k - 1 - output - padding) // s), (output + padding) // s + 1)

    def _faster_by_phases(self, x: Tensor) -> bool:
        k, s, (before, after) = self.kernel_size[0], self.stride[0], self._kernel_padding()
        if self.kernel_size != (k, k) or self.stride != (s, s):
            return False
        if self.out_channels <= NARROW:
            return (before + k + after) ** 2 <= 1.5 * k**2
        return not (before or after or is_channels_last(x))

    def _kernel_padding(self) -> tuple[int, int]:
        """Zeros before and after the kernel that make the padding and the kernel size multiples of s."""
        s, k, padding = self.stride[0], self.kernel_size[0], int(self.padding[0])
        before = -padding % s
        return before, -(before + k) % s

    def _by_phases(self, x: Tensor) -> Tensor:
        """The s·s small convolutions as one convolution, then a shuffle of the phases."""
        s, kernel_padding = self.stride[0], self._kernel_padding()
        weight = F.pad(self.weight, 2 * kernel_padding) if any(kernel_padding) else self.weight
        taps, after = weight.shape[2] // s, (int(self.padding[0]) + kernel_padding[0]) // s
        phases = weight.unflatten(3, (taps, s)).unflatten(2, (taps, s)).flip(2, 4)
        phases = phases.permute(3, 5, 1, 0, 2, 4).flatten(0, 2)  # (s·s·O, C, taps, taps)
        bias = None if self.bias is None else self.bias.repeat(s * s)
        before = taps - 1 - after
        if before != after:
            x = F.pad(x, 2 * (before, after))
        return interleave_phases(F.conv2d(x, phases, bias, padding=after if before == after else 0), s)

    def _direct(self, x: Tensor) -> Tensor:
        """PyTorch's kernel, with a separate sum for the gradient of the bias, which is slow there for channels last."""
        if self.bias is None:
            return super().forward(x)
        x, weight, bias = (cast_for_autocast(tensor) for tensor in (x, self.weight, self.bias))
        out = _Convolution.apply(x, weight, bias, self.stride, self.padding, self.output_padding)
        assert isinstance(out, Tensor)
        return out


class _Convolution(torch.autograd.Function):
    """F.conv_transpose2d with a separate sum for the gradient of the bias."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, stride: Any, padding: Any, output_padding: Any) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, *ctx.geometry = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight), (stride, padding, output_padding) = gradients, ctx.saved_tensors, ctx.geometry
        output_mask = [*ctx.needs_input_grad[:2], False]
        x_gradient, weight_gradient, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, (1, 1), True, output_padding, 1, output_mask
        )
        return x_gradient, weight_gradient, gradient.sum((0, 2, 3)), None, None, None
