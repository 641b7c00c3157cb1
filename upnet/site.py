"""`Site`: the output size of one upsampling step and the encoder state available there."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Site:
    """One upsampling location: its exact output size and the state of the encoder level of the same size.

    size:    (H, W) in pixels.
    indices: (N, C, h, w) int64, positions of the pooled maxima in the flattened (H, W) plane; None without max-pooling.
    skip:    (N, C, H, W), encoder features before pooling; None where skips are off.

    >>> Site(size=(9, 7)).skip is None
    True
    """

    size: tuple[int, int]
    indices: Tensor | None = None
    skip: Tensor | None = None
