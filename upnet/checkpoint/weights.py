"""The tensors of a checkpoint, held one by one against the network they are for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from upnet.config.errors import shown
from upnet.models import EncoderDecoder

Weights = Literal["ema", "raw"]

PREFIX: dict[Weights, str] = {"ema": "ema.net.", "raw": "net."}
"""How their names begin in the file."""
_WORDS: dict[Weights, str] = {"ema": "averaged", "raw": "raw"}
_MOST_NAMES = 3


def select_weights(state: Mapping[str, Tensor], weights: Weights, size: int) -> dict[str, Tensor]:
    """The averaged or the raw weights, by the network's own names.

    size: of the file in bytes; tensors that share their numbers, or repeat them, would claim more.

    Raises ValueError, whose message is the rest of a sentence about the file.
    """
    prefix = PREFIX[weights]
    found = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not found:
        other: Weights = "raw" if weights == "ema" else "ema"
        there = any(name.startswith(PREFIX[other]) for name in state)
        cure = f"; take weights={other}" if there else ""
        raise ValueError(f"holds no {_WORDS[weights]} weights{cure}")
    claimed = 0
    for name, tensor in found.items():
        told = _unusual(tensor)
        if told:
            raise ValueError(f"holds {shown(name)} as {told}: weights are plain tensors of numbers")
        claimed += tensor.numel() * tensor.element_size()
    if claimed > size:
        raise ValueError(f"claims {claimed} bytes of weights, and has {size} in all: its tensors overlap")
    return found


def load_weights(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network, which may lie on the device `meta`, these weights.

    Raises ValueError, whose message is the rest of a sentence about the file, where they aren't just those it has.
    """
    wanted = net.state_dict()
    faults = [
        f"{word}: {_few(names)}"
        for word, names in (
            ("missing", [name for name in wanted if name not in weights]),
            ("unknown", [name for name in weights if name not in wanted]),
        )
        if names
    ]
    faults += [
        f"{shown(name)} is {_kind(weights[name])} instead of {_kind(tensor)}"
        for name, tensor in wanted.items()
        if name in weights and (weights[name].shape, weights[name].dtype) != (tensor.shape, tensor.dtype)
    ][:_MOST_NAMES]
    if faults:
        raise ValueError(f"holds weights that don't fit the network it describes: {'; '.join(faults)}")
    # Copies, in the network's own order of memory: the file may go, and be changed.
    own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}
    net.load_state_dict(own, assign=True)
    left = [name for name, tensor in (*net.named_parameters(), *net.named_buffers()) if tensor.is_meta]
    assert not left, f"{left} are not in the state_dict and need a real device: see seeding.on_meta_device"


def _unusual(tensor: object) -> str | None:
    """What a value is that can't be the weights of a network; None for a dense tensor on the CPU."""
    if not isinstance(tensor, Tensor):
        return f"a {type(tensor).__name__}"
    if tensor.layout is not torch.strided:
        return f"a tensor in the layout {tensor.layout}"
    if tensor.is_quantized or tensor.is_complex() or tensor.is_nested:
        return f"a tensor of {tensor.dtype}"
    if tensor.device.type != "cpu":
        return f"a tensor without numbers, on the device {tensor.device.type}"
    return None


def _few(names: Iterable[str]) -> str:
    listed = [shown(name) for name in names]
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(listed[:_MOST_NAMES]) + more


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


@dataclass(frozen=True)
class Loaded:
    """A network out of a checkpoint, ready to enlarge pictures, and what the file says of it.

    told:    what the file says of itself, see `describe`.
    weights: whether they are the averaged or the raw ones.
    path:    where it came from.
    """

    net: EncoderDecoder
    metadata: dict[str, Any]
    weights: Weights
    path: Path

    @property
    def config(self) -> dict[str, Any]:
        """The network's resolved config."""
        return self.metadata["model"]

    @property
    def step(self) -> int:
        """The optimizer steps it was trained for."""
        return self.metadata["step"]
