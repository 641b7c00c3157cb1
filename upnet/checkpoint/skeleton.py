"""The network that a checkpoint describes, built without memory and no larger than the file it came in."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

SPARE_PARAMETERS, SPARE_NUMBERS = 256, 1 << 26
"""What a network may have beyond the file while it is built: a backbone, say, whose last stages are cut off."""


@contextmanager
def no_larger_than(state: Mapping[str, Tensor], on: str) -> Iterator[None]:
    """Build on a device, and break off as soon as a network has more parameters, or more numbers in them, than these.

    A config of a few bytes can ask for a billion layers, or for one that fills the machine: on the device `meta` the
    latter costs nothing, and the former is found out soon after it leaves the file behind.

    Raises ValueError, from within the constructor of the part that is too much.
    """
    parameters = len(state) + SPARE_PARAMETERS
    numbers = sum(tensor.numel() for tensor in state.values()) + SPARE_NUMBERS
    thread = threading.get_ident()

    def admit(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal parameters, numbers
        if parameter is None or threading.get_ident() != thread:
            return
        parameters, numbers = parameters - 1, numbers - parameter.numel()
        if min(parameters, numbers) < 0:
            raise ValueError(
                f"this network is far larger than the {len(state)} tensors in the file; it was not built any further"
            )

    handle = register_module_parameter_registration_hook(admit)
    try:
        with torch.device(on):
            yield
    finally:
        handle.remove()
