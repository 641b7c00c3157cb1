"""The contract that every upsampling operator keeps."""

import math
from abc import ABC, abstractmethod
from fractions import Fraction

from torch import Tensor, nn

from upnet.site import Site


class Upsampler(nn.Module, ABC):
    """Enlarge a feature map by `scale`: (N, C, h, w) -> (N, O, H, W) with (H, W) = site.size.

    h = ceil(H / scale), w = ceil(W / scale): an operator enlarges, and this class crops what an odd size leaves over
    at the bottom and the right. O is `out_channels`, C where nothing else is said. An operator that maps channels
    itself declares `projects_channels`; before any other a 3×3 convolution C -> O stands where O differs from C.

    channels:     C, the channels of the input.
    scale:        how many times as large the output is; a whole number unless the operator is `fractional`.
    out_channels: O; None keeps C.

    Raises ValueError for channels or out_channels below 1, and for a scale the operator doesn't have.
    """

    requires: frozenset[str] = frozenset()
    """The fields of Site, beside its size, that expand() reads."""
    fractional: bool = False
    """Whether scale may be other than a whole number."""
    projects_channels: bool = False
    """Whether expand() itself maps C channels to O."""
    support_argument: tuple[str, int] | None = None
    """The argument that sets `support_size`, and its smallest value; None where no argument sets it."""

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        out_channels = channels if out_channels is None else out_channels
        if channels < 1 or out_channels < 1:
            raise ValueError(
                f"{name}: channels and out_channels count feature maps and start at 1; "
                f"got channels={channels}, out_channels={out_channels}"
            )
        if not math.isfinite(scale) or scale < 1:
            raise ValueError(f"{name}: scale must be a finite number, 1 or larger; got scale={scale}")
        if scale != int(scale) and not self.fractional:
            raise ValueError(
                f"{name}: scale must be a whole number; got scale={scale}. "
                "Interpolations and ResizeConv take fractional scales"
            )
        self.channels = channels
        self.out_channels = out_channels
        self.scale = int(scale) if scale == int(scale) else scale
        # One ulp up, so that floor(scale * h) loses no row: 1.14 * 150 = 170.99999999999997.
        self._scale_up = self.scale if isinstance(self.scale, int) else math.nextafter(self.scale, math.inf)
        straight = self.projects_channels or out_channels == channels
        self.projection = nn.Identity() if straight else nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size).

        Raises ValueError where x doesn't fit the site, a field is missing, or expand() returns another shape than it
        has to.
        """
        self._check(x, site)
        grown = self.expand(self.projection(x), site)
        height, width = site.size
        if grown.dim() != 4 or grown.shape != (x.shape[0], self.out_channels, height, width):
            self._check_grown(grown, x, site)
        return grown[..., :height, :width]

    @abstractmethod
    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, floor(scale * h), floor(scale * w)), or at once (N, O, *site.size)."""

    def upsample_full(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, O, floor(scale * h), floor(scale * w)), where there is no site but the size itself."""
        return self(x, Site(size=self.output_size(x.shape[-2], x.shape[-1])))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """The size of the whole output for an input of height × width pixels."""
        return math.floor(self._scale_up * height), math.floor(self._scale_up * width)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The size of the input whose output reaches height × width pixels."""
        return math.ceil(height / self._scale_up), math.ceil(width / self._scale_up)

    def input_support(self, output: int) -> range | None:
        """Along one axis and off the borders: the input pixels that output pixel `output` is made of in expand().

        None where that isn't known, or is all of them.
        """
        return None

    @property
    def receptive_radius(self) -> int | None:
        """How far, in input pixels of each axis, an output pixel looks, the convolution C -> O included.

        Output o depends on inputs ⌊o/scale⌋ − reach … ⌊o/scale⌋ + reach only, and on what the site holds there; off the
        borders and on them. None where that is unknown or everything, and then no picture can be cut into tiles. It is
        what input_support() tells; an operator of which that is not the whole truth says its own.
        """
        period = Fraction(self.scale).limit_denominator(100)
        farthest = 0
        for output in range(period.numerator):
            pixels = self.input_support(output)
            if pixels is None:
                return None
            own = output * period.denominator // period.numerator
            farthest = max([farthest, *(abs(pixel - own) for pixel in pixels)])
        return farthest + (0 if isinstance(self.projection, nn.Identity) else 1)

    @property
    def support_size(self) -> int | None:
        """LR taps per output phase: how many input pixels one output pixel can be made of, the most of all phases.

        In both axes together, off the borders, with the convolution C -> O where there is one: what a comparison of
        equal support has to keep equal. None where input_support() knows none.
        """
        period = Fraction(self.scale).limit_denominator(100).numerator
        widest = 0
        for output in range(period):
            pixels = self.input_support(output)
            if pixels is None:
                return None
            widest = max(widest, len(pixels))
        widest += 0 if isinstance(self.projection, nn.Identity) else 2
        return widest**2

    @property
    def initial_equivalent(self) -> str | None:
        """The stem of the fixed operator F that this one is before any training, or None where there is no such one.

        In full: what it makes lies among what F makes, y = F(m(x)) off the borders, where m keeps the input's grid: the
        identity, or a convolution where O differs from C or the operator has one there. A fixed operator is its own.
        """
        learnt = [name for name, _ in self.named_parameters() if not name.startswith("projection.")]
        return None if learnt else type(self).__module__.rpartition(".")[2]

    def multiply_adds(self, height: int, width: int) -> int | None:
        """What one (1, C, height, width) input costs by definition; None where it is the convolutions inside."""
        return None

    def extra_repr(self) -> str:
        """What print(module) shows between the parentheses."""
        return f"channels={self.channels}, scale={self.scale}, out_channels={self.out_channels}"

    def _check(self, x: Tensor, site: Site) -> None:
        name = type(self).__name__
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise ValueError(f"{name}: the input must be (N, {self.channels}, h, w); got {tuple(x.shape)}")
        missing = sorted(field for field in self.requires if getattr(site, field) is None)
        if missing:
            raise ValueError(
                f"{name} reads {', '.join(missing)} of its site, and this site has none: "
                "use it behind an encoder that leaves them (the plain one pools by maximum and leaves indices)"
            )
        rows, cols = self.input_size(*site.size)
        if tuple(x.shape[-2:]) != (rows, cols):
            raise ValueError(
                f"{name}: an output of {site.size[0]}×{site.size[1]} at scale {self.scale} takes an input of "
                f"{rows}×{cols}; got {x.shape[-2]}×{x.shape[-1]}"
            )

    def _check_grown(self, grown: Tensor, x: Tensor, site: Site) -> None:
        wanted, enlarged = (
            (x.shape[0], self.out_channels, *size) for size in (site.size, self.output_size(x.shape[-2], x.shape[-1]))
        )
        if grown.dim() != 4 or grown.shape not in (wanted, enlarged):
            raise ValueError(
                f"{type(self).__name__}.expand() returned {tuple(grown.shape)} for an input of {tuple(x.shape)}; "
                f"it has to return {enlarged}, which is cropped to the size of the site, or {wanted}. "
                "An operator that maps channels itself sets projects = True"
            )
