"""DySample: bilinear interpolation at positions that a small convolution shifts, separately per group of channels."""

from math import gcd
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.checks import check_choice
from upnet.upsample.kernels.memory_format import match_memory_format
from upnet.upsample.stages import ExampleWeights, Stage, TitledMatrix
from upnet.utils.errors import UserError


class DySample(Upsampler):
    r"""Bilinear interpolation at learned positions: (N, C, h, w) -> (N, O, s·h, s·w).

    .. math:: y_j[o] = \sum_n k(u_1 - n_1) \, k(u_2 - n_2) \, v_j[n]
    .. math:: u = \frac{o + 1/2}{s} - \frac{1}{2} + \Delta_{g(j)}[o]
    .. math:: k(t) = \max(0, \; 1 - |t|)
    .. math:: \Delta = \frac{1}{4} \operatorname{shuffle}(W x + b), \quad v = x \text{ or a 3×3 convolution of } x

    Symbols: Δ is the shift in input pixels; g(j) is the group of output channel j; v are the values to be interpolated.

    A 1×1 convolution predicts, for each output pixel and group of channels, a shift from the regular position, in input
    pixels. Beyond the border the outermost pixels repeat. If O differs from C, the shifts are predicted from all C
    channels, and a 3×3 convolution C -> O computes the pixels to be interpolated.

    style:   `lp` predicts the shifts on the input grid and then applies a pixel shuffle; `pl` applies the pixel shuffle
             to the features and predicts on the output grid, with fewer weights.
    groups:  number of groups of channels with the same shifts, at least 1; the greatest common divisor with O is used,
             so that 3 channels are 1 group.
    dyscope: multiply the shifts by a second predicted map in [0, 0.5] instead of by 0.25.
    init:    `plain`: weights with a standard deviation of 0.001, as in the paper, close to bilinear interpolation.
             `bilinear`: zero weights, which is bilinear interpolation, also at the borders.

    Raises UserError for another style or init, for groups below 1, and for style=pl where s² does not divide C.

    Source: Liu et al., "Learning to Upsample by Learning to Sample", https://arxiv.org/abs/2308.15085

    >>> DySample(channels=8, scale=2).shifts(torch.zeros(1, 8, 5, 4)).shape
    torch.Size([1, 2, 4, 10, 8])
    """

    projects_channels = True
    content_adaptive = True
    example_weights = ExampleWeights(0.1, "With larger weights the positions would lie outside the image.")

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        style: Literal["lp", "pl"] = "lp",
        groups: int = 4,
        dyscope: bool = False,
        init: Literal["plain", "bilinear"] = "plain",
    ) -> None:
        super().__init__(channels, scale, out_channels)
        phases = int(self.scale) ** 2
        check_choice(self, "style", style, ("lp", "pl"))
        check_choice(self, "init", init, ("plain", "bilinear"))
        if groups < 1:
            raise UserError(
                "DySample needs at least one group of channels",
                setting="groups",
                value=groups,
                allowed="1, 2, 3, …; 4 in the paper",
            )
        if style == "pl" and channels % phases:
            raise UserError(
                f"with style=pl, DySample needs a number of channels that scale² = {phases} divides; got {channels}",
                setting="style",
                value=style,
                cure="Set style=lp, or change the number of channels",
            )
        self.style, self.init, self.groups = style, init, gcd(groups, self.out_channels)
        keeps_channels = channels == self.out_channels
        self.values = nn.Identity() if keeps_channels else nn.Conv2d(channels, self.out_channels, 3, padding=1)
        inputs, shifts = (
            (channels, 2 * self.groups * phases) if style == "lp" else (channels // phases, 2 * self.groups)
        )
        self.offset = nn.Conv2d(inputs, shifts, 1)
        self.scope = nn.Conv2d(inputs, shifts, 1) if dyscope else None
        self._initialize()

    @property
    def receptive_radius(self) -> None:
        """Unbounded: shifts depend on the weights and the input."""
        return None

    def shifts(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 2, groups, s·h, s·w): shift of each position in input pixels, rows first."""
        s = int(self.scale)
        if self.style == "pl":
            x = F.pixel_shuffle(x, s)
        shifts = self.offset(x) * (0.25 if self.scope is None else 0.5 * self.scope(x).sigmoid())
        if self.style == "lp":
            shifts = F.pixel_shuffle(shifts, s)
        return shifts.unflatten(1, (2, self.groups))

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        values = self.values(x)
        # On CUDA the gradient of grid_sample has no fixed order of summation, and deterministic mode refuses it.
        sample = _sample_by_index if torch.are_deterministic_algorithms_enabled() else _sample_on_grid
        return match_memory_format(x, sample(values, self.shifts(x)).to(values.dtype))

    def multiply_adds(self, height: int, width: int) -> int:
        """Those of the convolutions, and four per output value."""
        phases, convolutions = int(self.scale) ** 2, 1 if self.scope is None else 2
        prediction = convolutions * self.offset.weight.numel() * (1 if self.style == "lp" else phases)
        projection = 9 * self.channels * self.out_channels if self.channels != self.out_channels else 0
        return height * width * (prediction + projection + 4 * phases * self.out_channels)

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """The shifts of the positions, in input pixels."""
        down, right = self.shifts(x)[0, :, 0]
        return [Stage([TitledMatrix("shifts down", down), TitledMatrix("shifts right", right)], computed=True)]

    def input_support(self, output: int) -> range:
        """The two pixels nearest to the regular position: the support while shifts are below half an output pixel."""
        s = int(self.scale)
        first = (2 * output + 1 - s) // (2 * s)
        padding = int(self.channels != self.out_channels)
        return range(first - padding, first + 2 + padding)

    def _initialize(self) -> None:
        std = 0.001 if self.init == "plain" else 0.0
        nn.init.normal_(self.offset.weight, std=std)
        for conv in (self.offset, self.scope):
            if conv is not None:
                assert conv.bias is not None
                nn.init.zeros_(conv.bias)
        if self.scope is not None:
            nn.init.zeros_(self.scope.weight)


def _sample_on_grid(values: Tensor, shifts: Tensor) -> Tensor:
    """Interpolate at shifted positions by F.grid_sample: (N, O, h, w), (N, 2, G, s·h, s·w) -> (N, O, s·h, s·w)."""
    groups, dtype = shifts.shape[2], torch.promote_types(values.dtype, torch.float32)
    # grid_sample takes columns before rows, in [−1, 1] across the image.
    axes = []
    for axis, shape in ((1, (1, -1)), (0, (-1, 1))):
        length, outputs = values.shape[2 + axis], shifts.shape[3 + axis]
        regular = (2 * torch.arange(outputs, dtype=dtype, device=values.device) + 1) / outputs - 1
        axes.append(shifts[:, axis].to(dtype) * (2 / length) + regular.view(shape))
    grid = torch.stack(axes, dim=-1).flatten(0, 1)
    planes = values.to(dtype).unflatten(1, (groups, -1)).flatten(0, 1)
    out = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return out.unflatten(0, (-1, groups)).flatten(1, 2)


def _sample_by_index(values: Tensor, shifts: Tensor) -> Tensor:
    """The same by index_select, whose gradient is deterministic in deterministic mode."""
    (n, o, h, w), groups = values.shape, shifts.shape[2]
    row_shifts, col_shifts = shifts.permute(1, 0, 3, 4, 2)  # each (N, s·h, s·w, groups)
    (above, below, row_fraction), (left, right, col_fraction) = (
        _neighbours(row_shifts, 1, h),
        _neighbours(col_shifts, 2, w),
    )
    table = values.permute(0, 2, 3, 1).reshape(n * h * w * groups, o // groups)
    first_rows = torch.arange(n, device=values.device).view(n, 1, 1, 1) * h
    group = torch.arange(groups, device=values.device)

    def pick(row: Tensor, col: Tensor) -> Tensor:
        index = ((first_rows + row) * w + col) * groups + group
        return table.index_select(0, index.flatten()).view(*index.shape, o // groups)

    row_fraction, col_fraction = row_fraction[..., None], col_fraction[..., None]
    upper, lower = pick(above, left), pick(below, left)
    upper = upper + (pick(above, right) - upper) * col_fraction
    lower = lower + (pick(below, right) - lower) * col_fraction
    return (upper + (lower - upper) * row_fraction).flatten(3).permute(0, 3, 1, 2)


def _neighbours(shifts: Tensor, axis: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Along one axis, the input indices before and after each position, and its distance from the former.

    shifts: (N, s·h, s·w, groups); axis 1 for rows or 2 for columns, whose input has `length` pixels. Returns three
    tensors of that shape.
    """
    outputs = shifts.shape[axis]
    s, shape = outputs // length, (1, outputs, 1, 1) if axis == 1 else (1, 1, outputs, 1)
    dtype = torch.promote_types(shifts.dtype, torch.float32)
    # Relative to the input pixel of each output pixel, so that the numbers stay small and exact.
    output = torch.arange(outputs, device=shifts.device).view(shape)
    position = shifts.to(dtype) + (((output % s).to(dtype) + 0.5) / s - 0.5)
    before = position.detach().floor()
    first = before.long() + output // s
    return first.clamp(0, length - 1), (first + 1).clamp(0, length - 1), position - before
