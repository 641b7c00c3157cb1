"""`Upsampler`, the base class of all upsampling operators.

Symbols: N batch, C input channels, O output channels, h × w input size, H × W output size, s scale.
"""

import math
from abc import ABC, abstractmethod

from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.stages import ExampleWeights, Stage, View, weight_stages
from upnet.upsample.support import MeasuredSupport
from upnet.utils.errors import UserError


class Upsampler(MeasuredSupport, ABC):
    """Upsample a feature map by `scale`: (N, C, h, w) -> (N, O, H, W) with (H, W) = site.size.

    A subclass implements `expand`. All other declarations, here and in `MeasuredSupport`, have defaults.

    The input size is h = ceil(H / scale), w = ceil(W / scale). This class crops the output of `expand` to H × W at the
    bottom and on the right, so that operators need no code for odd sizes.

    If O differs from C, this class applies a 3×3 convolution C -> O before `expand`, except where the operator declares
    `projects_channels`.

    channels:     C, at least 1.
    scale:        upsampling factor, at least 1; an integer unless the operator declares `fractional`.
    out_channels: O, at least 1; None for O = C.

    Raises UserError for channels and scales out of these ranges.

    >>> class Repeat(Upsampler):
    ...     def expand(self, x, site):
    ...         return x.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1)
    >>> import torch
    >>> Repeat(channels=8, scale=2)(torch.zeros(1, 8, 5, 4), Site(size=(9, 7))).shape
    torch.Size([1, 8, 9, 7])
    """

    requires: frozenset[str] = frozenset()
    """Fields of Site, other than its size, that expand() reads."""
    fractional: bool = False
    """Whether the scale may be a non-integer."""
    projects_channels: bool = False
    """Whether expand() itself maps C channels to O."""
    content_adaptive: bool = False
    """Whether weights or positions depend on the values of the input; if not, the output is linear in the input."""
    support_argument: tuple[str, int] | None = None
    """The constructor argument that sets `support_size` and its minimum; None where no argument sets it."""
    example_weights: ExampleWeights = ExampleWeights()
    """The weights with which `upnet operators` shows the operator."""

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        out_channels = channels if out_channels is None else out_channels
        for setting, count in (("channels", channels), ("out_channels", out_channels)):
            if count < 1:
                raise UserError(
                    f"{name} needs at least one channel", setting=setting, value=count, allowed="1, 2, 3, …"
                )
        if not math.isfinite(scale) or scale < 1:
            raise UserError(
                f"{name} only upsamples", setting="scale", value=scale, allowed="a finite number of at least 1"
            )
        if scale != int(scale) and not self.fractional:
            raise UserError(
                f"{name} needs an integer scale",
                setting="scale",
                value=scale,
                allowed="1, 2, 3, …",
                cure="For other scales, choose an interpolation or ResizeConv",
            )
        self.channels = channels
        self.out_channels = out_channels
        self.scale = int(scale) if scale == int(scale) else scale
        # One ulp up, so that floor(scale * h) is exact for decimal scales: 1.14 * 150 = 170.99999999999997.
        self._scale_up = self.scale if isinstance(self.scale, int) else math.nextafter(self.scale, math.inf)
        needs_projection = out_channels != channels and not self.projects_channels
        self.projection = nn.Conv2d(channels, out_channels, 3, padding=1) if needs_projection else nn.Identity()

    def forward(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size).

        Raises ValueError where x does not fit the site, where the site lacks a required field, and where expand()
        returns a wrong shape.
        """
        self._check_input(x, site)
        expanded = self.expand(self.projection(x), site)
        height, width = site.size
        if expanded.shape != (x.shape[0], self.out_channels, height, width):
            self._check_expanded(expanded, x, site)
        return expanded[..., :height, :width]

    @abstractmethod
    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, floor(scale * h), floor(scale * w)), or already cropped: (N, O, *site.size)."""

    def upsample_full(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, O, floor(scale * h), floor(scale * w)); for operators that need no encoder state."""
        return self(x, Site(size=self.output_size(x.shape[-2], x.shape[-1])))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the uncropped output, floor(scale * height) × floor(scale * width)."""
        return math.floor(self._scale_up * height), math.floor(self._scale_up * width)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the smallest input whose output has at least height × width pixels."""
        return math.ceil(height / self._scale_up), math.ceil(width / self._scale_up)

    def multiply_adds(self, height: int, width: int) -> int | None:
        """Multiply-adds for an input (1, C, height, width), whichever kernel computes them.

        None, the default, means the sum over the convolutions inside.
        """
        return None

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """The weights and intermediate results of an operator of one channel, for display. x: (1, 1, h, w)."""
        return weight_stages(self)

    def views(self, x: Tensor) -> list[View]:
        """Equivalent computations of upsample_full(x) in an operator of one channel, for display. x: (1, 1, h, w)."""
        return []

    def extra_repr(self) -> str:
        """What print(module) shows in parentheses."""
        return f"channels={self.channels}, scale={self.scale}, out_channels={self.out_channels}"

    def _check_input(self, x: Tensor, site: Site) -> None:
        name = type(self).__name__
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise ValueError(f"{name}: the input must be (N, {self.channels}, h, w); got {tuple(x.shape)}")
        missing = sorted(field for field in self.requires if getattr(site, field) is None)
        if missing:
            raise ValueError(
                f"{name} reads {', '.join(missing)} of its site, and this site has none: "
                "use it after an encoder that provides them, such as MaxPoolEncoder for indices"
            )
        rows, cols = self.input_size(*site.size)
        if tuple(x.shape[-2:]) != (rows, cols):
            raise ValueError(
                f"{name}: an output of {site.size[0]}×{site.size[1]} at scale {self.scale} takes an input of "
                f"{rows}×{cols}; got {x.shape[-2]}×{x.shape[-1]}"
            )

    def _check_expanded(self, expanded: Tensor, x: Tensor, site: Site) -> None:
        cropped, full = (
            (x.shape[0], self.out_channels, *size) for size in (site.size, self.output_size(x.shape[-2], x.shape[-1]))
        )
        if expanded.shape not in (cropped, full):
            raise ValueError(
                f"{type(self).__name__}.expand() returned {tuple(expanded.shape)} for an input of {tuple(x.shape)}; "
                f"it must return {full}, which is then cropped to the size of the site, or {cropped}. "
                "An operator that maps channels itself sets projects_channels = True"
            )
