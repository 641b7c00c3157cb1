"""The base class of encoders with a stem and, per level, a block and a downsampling layer."""

from abc import abstractmethod
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor, nn

from upnet.blocks.base import same_padding
from upnet.encoders.base import BlockFactory, Encoder, require_block
from upnet.site import Site
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import ReceptiveField, require_radius
from upnet.utils.seeding import named_rng

MAX_DEPTH = 16
"""The largest depth: 16 downsamplings reduce 65536 pixels to one."""


class StagedEncoder(Encoder):
    """A stem, then at each level a block and a downsampling, which a subclass defines.

    width:       channels of level 0; each coarser level has `growth` times as many.
    depth:       the number of downsamplings by 2, 0 … 16.
    growth:      at least 1.
    stem_kernel: the size of a convolution, without activation, before the first block; None for no convolution.

    Raises UserError for a value outside its range and for an even stem_kernel.
    """

    downsample_field: ReceptiveField
    """The receptive field of a downsampling in the features of its level."""

    def __init__(
        self,
        channels: int,
        block: BlockFactory | None,
        width: Annotated[int, Ge(1)] = 16,
        depth: Annotated[int, Ge(0), Le(MAX_DEPTH)] = 2,
        growth: Annotated[float, Ge(1)] = 2,
        stem_kernel: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        block = require_block(block, name)
        for setting, value, minimum in (("width", width, 1), ("depth", depth, 0), ("growth", growth, 1)):
            if value < minimum or (setting == "depth" and value > MAX_DEPTH):
                allowed = f"0 … {MAX_DEPTH}" if setting == "depth" else f"{minimum} or more"
                raise UserError(f"is out of range for {name}", setting=setting, value=value, allowed=allowed)
        self.widths = tuple(round(width * growth**level) for level in range(depth + 1))
        if stem_kernel is None:
            self.stem, stem_channels = nn.Identity(), channels
        else:
            with named_rng("stem"):
                self.stem = nn.Conv2d(
                    channels, width, stem_kernel, padding=same_padding(stem_kernel, name, "stem_kernel")
                )
            stem_channels = width
        in_channels = (stem_channels, *self.stage_in_channels())
        self.stages = nn.ModuleList()
        for level, (stage_in, stage_out) in enumerate(zip(in_channels, self.widths, strict=True)):
            with named_rng(f"stage {level}"):
                self.stages.append(block(in_channels=stage_in, out_channels=stage_out))
        self.build_downsampling()

    def build_downsampling(self) -> None:
        """Build the modules of the downsamplings, from `widths`; called once. By default there are none."""

    def stage_in_channels(self) -> tuple[int, ...]:
        """The input channels of the stages of levels 1 … depth: by default the width of the level before."""
        return self.widths[:-1]

    @property
    def receptive_fields(self) -> tuple[ReceptiveField, ...]:
        """Of each level in the encoder's input. Raises UnknownReceptiveFieldError if the block declares no radius."""
        field = ReceptiveField.of_radius(0 if isinstance(self.stem, nn.Identity) else self.stem.kernel_size[0] // 2)
        levels: list[ReceptiveField] = []
        for stage in self.stages:
            if levels:
                field = field.compose(self.downsample_field)
            field = field.compose(ReceptiveField.of_radius(require_radius(stage)))
            levels.append(field)
        return tuple(levels)

    @abstractmethod
    def downsample(self, x: Tensor, level: int) -> tuple[Tensor, Site]:
        """(N, widths[level], H, W) -> (N, C, ⌈H/2⌉, ⌈W/2⌉) for the next level, and the Site of this level."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[-1], h, w), [Site of level 0, Site of level 1, …])."""
        x = self.stem(x)
        sites: list[Site] = []
        for level, stage in enumerate(self.stages):
            x = stage(x)  # (N, widths[level], ⌈H/2ˡ⌉, ⌈W/2ˡ⌉) at level l
            if level < self.depth:
                x, site = self.downsample(x, level)
                sites.append(site)
        return x, sites
