"""An optimizer whose step counters and learning rates are in device memory, where a CUDA graph reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from upnet.training.ema import DeviceScalar


class CapturableOptimizer:
    """Keeps the step counters and the learning rates of an optimizer in device memory.

    optimizer: the optimizer, with its state loaded and its parameters on `device`; unsupported_reason() must be None.

    The learning rates in `param_groups` stay Python numbers, which schedulers change and checkpoints contain. rates()
    replaces them by tensors while the optimizer steps. Steps without a graph use the tensors, too: their results then
    equal those of a replayed step bit for bit.

    >>> optimizer = torch.optim.Adam([torch.zeros(2, requires_grad=True)], lr=0.1)
    >>> capturable = CapturableOptimizer(optimizer, torch.device("cpu"))
    >>> capturable.write_rates()
    >>> with capturable.rates():
    ...     optimizer.param_groups[0]["lr"]
    tensor(0.1000)
    >>> optimizer.param_groups[0]["lr"]
    0.1
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        reason = self.unsupported_reason(optimizer)
        assert reason is None, reason
        self.optimizer = optimizer
        self._flags = [{key: group.get(key) for key in ("capturable", "fused")} for group in optimizer.param_groups]
        self._rates = [DeviceScalar(device) for _ in optimizer.param_groups]
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
            else:
                group["fused"] = True
        for parameter, state in optimizer.state.items():
            if isinstance(state.get("step"), Tensor):
                state["step"] = state["step"].to(parameter.device, torch.float32)

    @staticmethod
    def unsupported_reason(optimizer: Optimizer) -> str | None:
        """Why the step of an optimizer cannot be recorded; None if it can.

        >>> CapturableOptimizer.unsupported_reason(torch.optim.Adagrad([torch.zeros(2, requires_grad=True)]))
        'the optimizer Adagrad keeps its state in Python (it has no setting capturable)'
        """
        name = type(optimizer).__name__
        for group in optimizer.param_groups:
            # SGD has no step counter, and its fused kernel reads the learning rate from a tensor.
            fused_sgd = isinstance(optimizer, torch.optim.SGD) and not group["foreach"] and group["fused"] is not False
            if "capturable" not in group and not fused_sgd:
                return f"the optimizer {name} keeps its state in Python (it has no setting capturable)"
            if isinstance(group["lr"], Tensor):
                return f"the learning rate of the optimizer {name} is already a tensor"
        return None

    def write_rates(self) -> None:
        """Copy the current learning rates to the device."""
        for rate, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            rate.set(group["lr"])

    @contextmanager
    def rates(self) -> Iterator[None]:
        """Context in which the optimizer reads its learning rates from the device."""
        learning_rates = [group["lr"] for group in self.optimizer.param_groups]
        for rate, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            group["lr"] = rate.tensor
        try:
            yield
        finally:
            for learning_rate, group in zip(learning_rates, self.optimizer.param_groups, strict=True):
                group["lr"] = learning_rate

    def constants(self) -> list[dict[str, Any]]:
        """The values of each parameter group that a graph stores as constants: all but parameters and learning rate."""
        return [
            {key: value for key, value in group.items() if key not in ("params", "lr", "initial_lr")}
            for group in self.optimizer.param_groups
        ]

    def restore_flags(self, state: dict[str, Any]) -> None:
        """Restore the original flags `capturable` and `fused` in a state_dict, so that any device can load it."""
        for group, flags in zip(state["param_groups"], self._flags, strict=True):
            group.update({key: value for key, value in flags.items() if key in group})
