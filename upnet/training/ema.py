"""An exponential moving average of a network, its buffers included."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from upnet.utils.errors import UserError

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
            raise UserError("must be in [0, 1)", setting="decay", value=decay, cure="0.999 is common")
        self.decay = decay
        self.net: Net = copy.deepcopy(net).requires_grad_(False)
        # Looking for the parameters takes longer than averaging those of a small network. The parameters themselves
        # outlive a move to another device; buffers don't, and are looked for again.
        self._followed: tuple[nn.Module, list[Tensor], list[Tensor]] | None = None
        self._decay = decay
        self._device_weight: DeviceScalar | None = None

    def update(self, net: Net, step: int) -> None:
        """Take in the network as it is after `step` optimizer steps. Whole-number buffers, counters, are copied."""
        self.set_step(step)
        self.average(net)

    def keep_weight_on(self, device: torch.device) -> None:
        """Keep the weight of the current network in the memory of a device, so that `average` can be recorded."""
        self._device_weight = DeviceScalar(device)

    def set_step(self, step: int) -> None:
        """Set the weight of the current network to that after `step` optimizer steps."""
        self._decay = min(self.decay, (1 + step) / (10 + step))
        if self._device_weight is not None:
            self._device_weight.set(1 - self._decay)

    @torch.no_grad()
    def average(self, net: Net) -> None:
        """Take in the network with the weight that `set_step` set."""
        if self._followed is None or self._followed[0] is not net:
            self._followed = net, list(self.net.parameters()), list(net.parameters())
        _, averaged, current = self._followed
        if self._device_weight is None:
            weight = 1 - self._decay
            get_ema_multi_avg_fn(self._decay)(averaged, current, 0)
        else:
            weight = self._device_weight.tensor
            difference = torch._foreach_sub(current, averaged)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_mul_(difference, weight)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_add_(averaged, difference)  # pyright: ignore[reportPrivateImportUsage]
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, weight)
            else:
                mine.copy_(theirs)


class DeviceScalar:
    """A number in the memory of a device, (), float32, that a recorded kernel reads at every replay."""

    def __init__(self, device: torch.device) -> None:
        self.tensor = torch.zeros((), device=device)
        self._value: float | None = None

    def set(self, value: float) -> None:
        """Write the number if it changed, without waiting for the device."""
        if value != self._value:
            self.tensor.fill_(value)
            self._value = value
