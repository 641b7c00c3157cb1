"""nn.ConvTranspose2d whose output is exactly `stride` times as large as its input, computed fast on a CPU."""

from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.upsample.kernels.autocast import autocast
from upnet.upsample.kernels.memory_format import NARROW, channels_last, interleaved, on_cpu


class TransposedConv(nn.ConvTranspose2d):
    """A transposed convolution for the upsampling operators: (N, C, h, w) -> (N, O, s·h, t·w) with stride (s, t).

    The padding is p = ⌈(k − s)/2⌉ and the output padding what is left over. All else is nn.ConvTranspose2d: the
    parameters, the state dict, hooks, pruning and parametrisations, which replace `weight`.

    On a CPU the order of sums is another where that is faster: few output channels, or planes in memory, take s·t small
    convolutions side by side; the others take torch's kernel, and the gradient of the bias is summed separately.
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
        left = 2 * padding[0] - (k - s), 2 * padding[1] - (m - t)
        super().__init__(channels, out_channels, kernel_size, stride, padding, left, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, t·w)."""
        if output_size is not None or input.dim() != 4 or not on_cpu(input):
            return super().forward(input, output_size)
        return self._by_phases(input) if self._better_by_phases(input) else self._direct(input)

    def _better_by_phases(self, x: Tensor) -> bool:
        k, s, (before, behind) = self.kernel_size[0], self.stride[0], self._zeros()
        if self.kernel_size != (k, k) or self.stride != (s, s):
            return False
        if self.out_channels <= NARROW:
            return (before + k + behind) ** 2 <= 1.5 * k**2
        return not (before or behind or channels_last(x))

    def _zeros(self) -> tuple[int, int]:
        """How many to put before and behind the kernel, for the padding and the kernel to be whole input pixels."""
        s, k, padding = self.stride[0], self.kernel_size[0], int(self.padding[0])
        before = -padding % s
        return before, -(before + k) % s

    def _by_phases(self, x: Tensor) -> Tensor:
        """The s·s small convolutions as one, then their outputs side by side."""
        s, zeros = self.stride[0], self._zeros()
        weight = F.pad(self.weight, 2 * zeros) if any(zeros) else self.weight
        taps, after = weight.shape[2] // s, (int(self.padding[0]) + zeros[0]) // s
        apart = weight.unflatten(3, (taps, s)).unflatten(2, (taps, s)).flip(2, 4)
        phases = apart.permute(3, 5, 1, 0, 2, 4).flatten(0, 2)  # (s·s·O, C, taps, taps)
        bias = None if self.bias is None else self.bias.repeat(s * s)
        ahead = taps - 1 - after
        if ahead != after:
            x = F.pad(x, 2 * (ahead, after))
        return interleaved(F.conv2d(x, phases, bias, padding=after if ahead == after else 0), s)

    def _direct(self, x: Tensor) -> Tensor:
        """torch's own, with a bias whose gradient is the plain sum it is.

        Left to torch, that sum can take longer than all of the convolution where channels are last in memory.
        """
        if self.bias is None:
            return super().forward(x)
        x, weight, bias = (autocast(tensor) for tensor in (x, self.weight, self.bias))
        out = _Convolution.apply(x, weight, bias, self.stride, self.padding, self.output_padding)
        assert isinstance(out, Tensor)
        return out


class _Convolution(torch.autograd.Function):
    """F.conv_transpose2d with a bias whose gradient is summed separately."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, stride: Any, padding: Any, left: Any) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, stride, padding, left)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, *ctx.geometry = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight), (stride, padding, left) = gradients, ctx.saved_tensors, ctx.geometry
        wanted = [*ctx.needs_input_grad[:2], False]
        into_x, into_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, (1, 1), True, left, 1, wanted
        )
        return into_x, into_weight, gradient.sum((0, 2, 3)), None, None, None
