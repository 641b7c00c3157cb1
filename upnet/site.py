"""Where encoders and operators meet."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Site:
    """One place to fill: its exact size, and what the matching encoder stage left there.

    size:    (H, W) in pixels, rows first.
    indices: (N, C, h, w) int64, each pooled maximum's position in its flattened H*W plane; None without max-pooling.
    skip:    (N, C, H, W), the stage's features before pooling; None where skips are off.
    """

    size: tuple[int, int]
    indices: Tensor | None = None
    skip: Tensor | None = None
