"""A linear warm-up, then half a cosine."""

import math
from typing import Annotated

from annotated_types import Ge, Le
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def cosine(
    optimizer: Optimizer,
    steps: Annotated[int, Ge(1)],
    warmup: Annotated[int, Ge(0)] = 100,
    floor: Annotated[float, Ge(0), Le(1)] = 0.01,
) -> LambdaLR:
    """The learning rate, as a share of the optimizer's own: up in a line, down on half a cosine.

    steps:  of the optimizer, in all.
    warmup: steps of the rise, at most a tenth of them all.
    floor:  the share that is left at the end.

    Source: Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    https://arxiv.org/abs/1608.03983
    """
    rise = min(warmup, steps // 10)

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        progress = min(1.0, (step - rise) / max(1, steps - rise))
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, share)
