"""DySample: bilinear interpolation at places that a small convolution shifts, group of channels by group."""

from math import gcd
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.memory_format import in_format_of


class DySample(Upsampler):
    """Bilinear interpolation at learnt places: (N, C, h, w) -> (N, O, s·h, s·w).

    A 1×1 convolution says for every output pixel and every group of channels how far from its regular place, in input
    pixels, its value is taken; beyond the border the outermost pixels repeat. Where O differs from C the shifts are
    read from all C channels, and a 3×3 convolution C -> O makes the pixels they move over.

    style:   `lp` predicts the shifts on the input grid and shuffles them out to the s² phases; `pl` shuffles the
             features and predicts on the output grid, by fewer weights.
    groups:  of channels that share their shifts; what it has in common with O, so that 3 channels are 1 group.
    dyscope: multiply the shifts by a second, learnt map in [0, 0.5] instead of by 0.25.
    init:    `plain` draws the weights with a standard deviation of 0.001, as the paper does, which is all but bilinear
             interpolation; `bilinear` starts with none, which is bilinear interpolation also at the borders.

    Raises ValueError for groups below 1, and for style=pl where s² doesn't divide C.

    Source: Liu et al., "Learning to Upsample by Learning to Sample", https://arxiv.org/abs/2308.15085
    """

    projects_channels = True

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
        if style not in ("lp", "pl"):
            raise ValueError(f"DySample: style is 'lp' or 'pl'; got {style!r}")
        if groups < 1:
            raise ValueError(f"DySample: groups counts groups of channels, from 1 on, 4 in the paper; got {groups}")
        if init not in ("plain", "bilinear"):
            raise ValueError(f"DySample: init is 'plain' or 'bilinear'; got {init!r}")
        if style == "pl" and channels % phases:
            raise ValueError(
                f"DySample: style=pl shuffles the channels out to {phases} phases, which must divide them; "
                f"got channels={channels}: take style=lp"
            )
        self.style, self.init, self.groups = style, init, gcd(groups, self.out_channels)
        same = channels == self.out_channels
        self.values = nn.Identity() if same else nn.Conv2d(channels, self.out_channels, 3, padding=1)
        inputs, shifts = (
            (channels, 2 * self.groups * phases) if style == "lp" else (channels // phases, 2 * self.groups)
        )
        self.offset = nn.Conv2d(inputs, shifts, 1)
        self.scope = nn.Conv2d(inputs, shifts, 1) if dyscope else None
        self._draw()

    @property
    def receptive_radius(self) -> None:
        """Unknown: a shift may go as far as the weights and the input take it."""
        return None

    @property
    def initial_equivalent(self) -> str | None:
        """As what `init` says; drawn by the paper's rule it starts near bilinear interpolation only."""
        return "bilinear" if self.init == "bilinear" else None

    def shifts(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 2, groups, s·h, s·w): how far each place is shifted, in input pixels, rows first."""
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
        # On CUDA grid_sample adds up its gradient in no fixed order, and torch refuses it where that matters.
        sample = self._picked if torch.are_deterministic_algorithms_enabled() else self._sampled
        made = sample(values, self.shifts(x)).to(values.dtype)
        return in_format_of(x, made)

    def multiply_adds(self, height: int, width: int) -> int:
        """Those of the convolutions, and the four taps of every output value."""
        phases, convolutions = int(self.scale) ** 2, 1 if self.scope is None else 2
        predicted = convolutions * self.offset.weight.numel() * (1 if self.style == "lp" else phases)
        projected = 9 * self.channels * self.out_channels if self.channels != self.out_channels else 0
        return height * width * (predicted + projected + 4 * phases * self.out_channels)

    def input_support(self, output: int) -> range:
        """As long as no shift passes half an output pixel: the two nearest of the regular place."""
        s = int(self.scale)
        first = (2 * output + 1 - s) // (2 * s)
        margin = int(self.channels != self.out_channels)
        return range(first - margin, first + 2 + margin)

    def _sampled(self, values: Tensor, shifts: Tensor) -> Tensor:
        """(N, O, h, w) at its regular places plus (N, 2, groups, s·h, s·w) -> (N, O, s·h, s·w), by torch's sampler."""
        exact = torch.promote_types(values.dtype, torch.float32)
        # As that takes them: columns before rows, from −1 to 1 across the picture.
        axes = []
        for axis, shape in ((1, (1, -1)), (0, (-1, 1))):
            length, grown = values.shape[2 + axis], shifts.shape[3 + axis]
            regular = (2 * torch.arange(grown, dtype=exact, device=values.device) + 1) / grown - 1
            axes.append(shifts[:, axis].to(exact) * (2 / length) + regular.view(shape))
        grid = torch.stack(axes, dim=-1).flatten(0, 1)
        planes = values.to(exact).unflatten(1, (self.groups, -1)).flatten(0, 1)
        made = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return made.unflatten(0, (-1, self.groups)).flatten(1, 2)

    def _picked(self, values: Tensor, shifts: Tensor) -> Tensor:
        """The same by picking rows of a table, whose gradient adds up in a fixed order where torch is asked for it."""
        (n, o, h, w), g = values.shape, self.groups
        down, right = shifts.permute(1, 0, 3, 4, 2)  # each (N, s·h, s·w, groups)
        (above, below, down), (before, after, right) = _neighbours(down, 1, h), _neighbours(right, 2, w)
        table = values.permute(0, 2, 3, 1).reshape(n * h * w * g, o // g)
        pictures = torch.arange(n, device=values.device).view(n, 1, 1, 1) * h
        group = torch.arange(g, device=values.device)

        def pick(row: Tensor, col: Tensor) -> Tensor:
            place = ((pictures + row) * w + col) * g + group
            return table.index_select(0, place.flatten()).view(*place.shape, o // g)

        down, right = down[..., None], right[..., None]
        upper, lower = pick(above, before), pick(below, before)
        upper = upper + (pick(above, after) - upper) * right
        lower = lower + (pick(below, after) - lower) * right
        return (upper + (lower - upper) * down).flatten(3).permute(0, 3, 1, 2)

    def _draw(self) -> None:
        std = 0.001 if self.init == "plain" else 0.0
        nn.init.normal_(self.offset.weight, std=std)
        for conv in (self.offset, self.scope):
            if conv is not None:
                assert conv.bias is not None
                nn.init.zeros_(conv.bias)
        if self.scope is not None:
            nn.init.zeros_(self.scope.weight)


def _neighbours(shifts: Tensor, axis: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """The input pixels before and after each place along one axis, and how far it lies behind the former.

    (N, s·h, s·w, groups), the axis 1 for rows or 2 for columns, whose input has `length` pixels -> three of that shape.
    """
    grown = shifts.shape[axis]
    s, shape = grown // length, (1, grown, 1, 1) if axis == 1 else (1, 1, grown, 1)
    exact = torch.promote_types(shifts.dtype, torch.float32)
    # Counted from the pixel each output pixel lies in, so that the numbers stay small and exact.
    output = torch.arange(grown, device=shifts.device).view(shape)
    place = shifts.to(exact) + (((output % s).to(exact) + 0.5) / s - 0.5)
    before = place.detach().floor()
    first = before.long() + output // s
    return first.clamp(0, length - 1), (first + 1).clamp(0, length - 1), place - before
