"""An exponential moving average (EMA) of the weights and buffers of a network."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from upnet.utils.errors import UserError

Net = TypeVar("Net", bound=nn.Module)


class EMA(nn.Module, Generic[Net]):
    """The moving average of a network over optimizer steps: ema = d · ema + (1 − d) · weights after each step.

    net:   the network that is trained. `EMA.net` is a copy of it with the averaged weights.
    decay: the decay in [0, 1); 0 copies the weights. The average covers about the last 1 / (1 − decay) steps: 0.999
           suits runs of a few thousand steps.

    At step t the decay is d = min(decay, (1 + t) / (10 + t)): it is smaller in the first steps, so that the initial
    weights have little influence.

    Raises UserError for a decay outside [0, 1).

    Source: Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging",
    https://doi.org/10.1137/0330046

    >>> net = nn.Linear(1, 1, bias=False)
    >>> ema = EMA(net, decay=0.5)
    >>> _ = nn.init.zeros_(ema.net.weight), nn.init.ones_(net.weight)
    >>> ema.update(net, step=100)
    >>> ema.net.weight
    Parameter containing:
    tensor([[0.5000]])
    """

    def __init__(self, net: Net, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise UserError("must be in [0, 1)", setting="decay", value=decay, cure="0.999 is common")
        self.decay = decay
        self.net: Net = copy.deepcopy(net).requires_grad_(False)
        # The parameters of both networks, since collecting them takes longer than averaging those of a small network.
        # They survive a move to another device. Buffers do not, and are collected at every update.
        self._parameters_of: tuple[nn.Module, list[Tensor], list[Tensor]] | None = None
        self._step_decay = decay
        self._device_weight: DeviceScalar | None = None

    def update(self, net: Net, step: int) -> None:
        """Average the weights of the network after `step` optimizer steps. Integer buffers (counters) are copied."""
        self.set_step(step)
        self.average(net)

    def keep_weight_on(self, device: torch.device) -> None:
        """Keep the weight 1 − d in the memory of a device, so that a CUDA graph can record `average`."""
        self._device_weight = DeviceScalar(device)

    def set_step(self, step: int) -> None:
        """Set d to its value after `step` optimizer steps."""
        self._step_decay = min(self.decay, (1 + step) / (10 + step))
        if self._device_weight is not None:
            self._device_weight.set(1 - self._step_decay)

    @torch.no_grad()
    def average(self, net: Net) -> None:
        """Average the weights of the network with the value of d that `set_step` has set."""
        if self._parameters_of is None or self._parameters_of[0] is not net:
            self._parameters_of = net, list(self.net.parameters()), list(net.parameters())
        _, averaged, current = self._parameters_of
        if self._device_weight is None:
            weight = 1 - self._step_decay
            get_ema_multi_avg_fn(self._step_decay)(averaged, current, 0)
        else:
            weight = self._device_weight.tensor
            difference = torch._foreach_sub(current, averaged)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_mul_(difference, weight)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_add_(averaged, difference)  # pyright: ignore[reportPrivateImportUsage]
        for averaged_buffer, buffer in zip(self.net.buffers(), net.buffers(), strict=True):
            if averaged_buffer.is_floating_point():
                averaged_buffer.lerp_(buffer, weight)
            else:
                averaged_buffer.copy_(buffer)


class DeviceScalar:
    """A number in the memory of a device, which a CUDA graph reads at every replay.

    tensor: the number, a float32 scalar tensor.

    >>> scalar = DeviceScalar(torch.device("cpu"))
    >>> scalar.set(0.5)
    >>> scalar.tensor
    tensor(0.5000)
    """

    def __init__(self, device: torch.device) -> None:
        self.tensor = torch.zeros((), device=device)
        self._value: float | None = None

    def set(self, value: float) -> None:
        """Write the number if it has changed, without waiting for the device."""
        if value != self._value:
            self.tensor.fill_(value)
            self._value = value
