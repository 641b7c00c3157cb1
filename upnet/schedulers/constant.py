"""Constant learning rate after a linear warm-up."""

from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, steps: Annotated[int, Ge(1)], warmup: Annotated[int, Ge(0)] = 100) -> LambdaLR:
    """Linear warm-up, then the optimizer's learning rate to the end.

    steps:  optimizer steps in total.
    warmup: steps of the warm-up; at most a tenth of all steps.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    >>> scheduler = constant(optimizer, steps=20, warmup=2)
    >>> scheduler.get_last_lr()
    [0.5]
    """
    warmup_steps = min(warmup, steps // 10)
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0)
