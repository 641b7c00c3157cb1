"""Cosine learning rate decay after a linear warm-up."""

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
    """Linear warm-up, then half a cosine down to `floor`.

    steps:  optimizer steps in total.
    warmup: steps of the warm-up; at most a tenth of all steps.
    floor:  final learning rate as a fraction of the optimizer's.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
    https://arxiv.org/abs/1608.03983

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    >>> scheduler = cosine(optimizer, steps=20, warmup=2)
    >>> scheduler.get_last_lr()
    [0.5]
    """
    warmup_steps = min(warmup, steps // 10)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, factor)
