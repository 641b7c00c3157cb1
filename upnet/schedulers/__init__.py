"""Learning rate schedules that torch.optim lacks, in optimizer steps."""

from upnet.schedulers.constant import constant
from upnet.schedulers.cosine import cosine

__all__ = ["constant", "cosine"]
