"""An exponential moving average of a network, its buffers included."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

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
        # Looking for the parameters takes longer than averaging those of a small network. The parameters themselves
        # outlive a move to another device; buffers don't, and are looked for again.
        self._followed: tuple[nn.Module, list[Tensor], list[Tensor]] | None = None

    @torch.no_grad()
    def update(self, net: Net, step: int) -> None:
        """Take in the network as it is after `step` optimizer steps. Whole-number buffers, counters, are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        if self._followed is None or self._followed[0] is not net:
            self._followed = net, list(self.net.parameters()), list(net.parameters())
        _, averaged, current = self._followed
        get_ema_multi_avg_fn(decay)(averaged, current, step)
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
