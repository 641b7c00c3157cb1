"""The contract of a block: what a stage is made of."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Block(nn.Module, ABC):
    """(N, in_channels, H, W) -> (N, out_channels, H, W), the size unchanged.

    Raises ValueError for channels below 1.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if min(in_channels, out_channels) < 1:
            name = type(self).__name__
            raise ValueError(f"{name}: channels start at 1; got {in_channels} in and {out_channels} out")

    @property
    def reach(self) -> int | None:
        """How many pixels an output pixel looks to each side; None, if nothing else is said, for unknown or all.

        Where it is None no picture can be cut into tiles.
        """
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
