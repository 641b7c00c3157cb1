"""The contract of a network that can be given a picture in tiles."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from upnet.utils.receptive_field import Margin


class Tileable(nn.Module, ABC):
    """Enlarges pictures: (N, channels, h, w) -> (N, channels, scale·h, scale·w), in two steps.

    First the picture is interpolated, then the output completed: away from the borders each part of the second is made
    of the same part of the first, with what it looks at around it.
    """

    scale: int
    """How many times as large the output is."""

    @property
    @abstractmethod
    def margin(self) -> Margin:
        """What a tile of the picture needs around it to come out as in the whole picture.

        Raises UnknownReachError, a ValueError, where a part of the network doesn't say how far its pixels look.
        """

    @abstractmethod
    def interpolated(self, lr: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the network starts from, each (N, channels, h, w) or that times scale; the second may be nothing."""

    @abstractmethod
    def completed(self, entry: Tensor, base: Tensor | None) -> Tensor:
        """The output, of what interpolated() makes."""

    def forward(self, lr: Tensor) -> Tensor:
        """(N, channels, h, w) in [0, 1] -> (N, channels, scale·h, scale·w) of the same type, whatever autocast says."""
        return self.completed(*self.interpolated(lr))
