"""A linear warm-up, then the same rate to the end."""

from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, steps: Annotated[int, Ge(1)], warmup: Annotated[int, Ge(0)] = 100) -> LambdaLR:
    """The learning rate, as a share of the optimizer's own: up in a line over `warmup` steps, then 1."""
    rise = min(warmup, steps // 10)
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / rise) if rise else 1.0)
