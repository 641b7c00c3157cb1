"""An exponential moving average of a network, its buffers included."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


class EMA(nn.Module, Generic[Net]):
    """`net` averaged over the steps of a training.

    decay: the weight of the past, in [0, 1); early on it is smaller, (1 + step) / (10 + step), so that the draw of the
           initial weights is soon forgotten.

    Raises ValueError for a decay outside [0, 1).

    Source: Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging",
    https://doi.org/10.1137/0330046
    """

    def __init__(self, net: Net, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay lies in [0, 1), for example 0.999; got {decay}")
        self.decay = decay
        self.net: Net = copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def update(self, net: Net, step: int) -> None:
        """Take in the network as it is after `step` optimizer steps. Whole-number buffers, counters, are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged, current = _floating(self.net), _floating(net)
        for mine, theirs in zip(averaged, current, strict=True):
            mine.lerp_(theirs, 1 - decay)
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(theirs)


def _floating(net: nn.Module) -> list[Tensor]:
    tensors = [*net.parameters(), *net.buffers()]
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
