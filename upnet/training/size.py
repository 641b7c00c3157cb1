"""Whether a network can be trained on this machine, found out while it is built: a system may kill, and not refuse."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from upnet.config import ConfigError
from upnet.tiling.memory import available, ran_out

COPIES = 5
"""What training holds of every weight: itself, its average, its gradient, and the two moments of Adam."""
MOST_TENSORS = 10_000


@contextmanager
def within_memory() -> Iterator[None]:
    """Build a network inside; as soon as it can't be trained in the memory that is free, building ends.

    Raises ValueError then, before the memory is touched, and for a network of more than MOST_TENSORS tensors; what
    `upnet.config.build` makes of it is a ConfigError.
    """
    free, tensors, weights, needed = available(), 0, 0, 0

    def admit(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, weights, needed
        if parameter is None:
            return
        tensors, weights = tensors + 1, weights + parameter.numel()
        needed += COPIES * parameter.numel() * parameter.element_size()
        if tensors > MOST_TENSORS:
            raise ValueError(_refusal(f"has more than {MOST_TENSORS} tensors of weights"))
        if free is not None and needed > free:
            raise ValueError(
                _refusal(
                    f"has at least {weights} weights: training takes {needed / 2**30:.1f} GiB for them, and "
                    f"{free / 2**30:.1f} GiB are free"
                )
            )

    hook = register_module_parameter_registration_hook(admit)
    try:
        yield
    except ConfigError as fault:
        if not ran_out(fault) and "overflow" not in str(fault):
            raise
        asked = re.search(r"allocate (\d+) bytes", str(fault))
        told = f", a single layer of which takes {int(asked[1]) / 2**30:.0f} GiB" if asked else ""
        raise ConfigError(_refusal(f"doesn't fit into memory{told}")) from fault
    finally:
        hook.remove()


def _refusal(what: str) -> str:
    return f"the network {what}; lower model.encoder.width, model.encoder.depth or model.block.blocks"
