"""The weights of a checkpoint: select the averaged or raw ones, check them, load them into a network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from upnet.checkpoint.errors import CheckpointError
from upnet.checkpoint.migration import Metadata
from upnet.models import EncoderDecoder
from upnet.utils.errors import UserError, format_value

Weights = Literal["ema", "raw"]
"""`ema`: the averaged weights; `raw`: the weights of the last step."""

PREFIX: dict[Weights, str] = {"ema": "ema.net.", "raw": "net."}
"""Prefixes of their names in the file."""
_DESCRIPTIONS: dict[Weights, str] = {"ema": "averaged", "raw": "raw"}
_MAX_NAMES = 3


@dataclass(frozen=True)
class Loaded:
    """A network from a checkpoint.

    metadata: the metadata of the file; see `upnet.checkpoint.describe`.
    weights:  whether the network has the averaged or the raw weights.
    path:     the path of the file.
    """

    net: EncoderDecoder
    metadata: Metadata
    weights: Weights
    path: Path

    @property
    def config(self) -> dict[str, Any]:
        """The network's resolved config."""
        return self.metadata["model"]

    @property
    def step(self) -> int:
        """The number of optimizer steps it was trained for."""
        return self.metadata["step"]


def select_weights(state: Mapping[str, Tensor], weights: Weights, path: Path, size: int) -> dict[str, Tensor]:
    """The averaged or the raw weights, by their names in the network.

    path: the path of the file, for errors.
    size: the size of the file in bytes. Tensors that share memory could claim more.

    Raises UserError if the file doesn't contain these weights, and CheckpointError if one is not a plain tensor.
    """
    prefix = PREFIX[weights]
    selected = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not selected:
        other: Weights = "raw" if weights == "ema" else "ema"
        has_other = any(name.startswith(PREFIX[other]) for name in state)
        raise UserError(
            f"{path} contains no {_DESCRIPTIONS[weights]} weights", cure=f"Set weights={other}" if has_other else ""
        )
    claimed = 0
    for name, tensor in selected.items():
        kind = _unsupported_kind(tensor)
        if kind:
            raise CheckpointError(f"{path} contains {format_value(name)} as {kind}; weights must be plain tensors")
        claimed += tensor.numel() * tensor.element_size()
    if claimed > size:
        raise CheckpointError(f"{path} claims {claimed} bytes of weights and has {size} bytes: its tensors overlap")
    return selected


def load_weights(net: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights into a network, which may be on the device `meta`.

    path: the path of the file, for errors.

    Raises CheckpointError if names, shapes or dtypes differ from those of the network.
    """
    expected = net.state_dict()
    faults = [
        f"{fault}: {_first_names(names)}"
        for fault, names in (
            ("missing", [name for name in expected if name not in weights]),
            ("unknown", [name for name in weights if name not in expected]),
        )
        if names
    ]
    faults += [
        f"{format_value(name)} is {_shape_and_dtype(weights[name])} instead of {_shape_and_dtype(tensor)}"
        for name, tensor in expected.items()
        if name in weights and (weights[name].shape, weights[name].dtype) != (tensor.shape, tensor.dtype)
    ][:_MAX_NAMES]
    if faults:
        raise CheckpointError(f"{path} contains weights that don't fit the network it describes: {'; '.join(faults)}")
    # Copies, since the file may be changed or deleted later.
    copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}
    net.load_state_dict(copies, assign=True)
    on_meta = [name for name, tensor in (*net.named_parameters(), *net.named_buffers()) if tensor.is_meta]
    assert not on_meta, f"{on_meta} are not in the state_dict and need a real device: see seeding.on_meta_device"


def _unsupported_kind(tensor: object) -> str | None:
    """What a value is if it is not a dense tensor of numbers on the CPU, else None."""
    if not isinstance(tensor, Tensor):
        return f"a {type(tensor).__name__}"
    if tensor.layout is not torch.strided:
        return f"a tensor in the layout {tensor.layout}"
    if tensor.is_quantized or tensor.is_complex() or tensor.is_nested:
        return f"a tensor of {tensor.dtype}"
    if tensor.device.type != "cpu":
        return f"a tensor without values, on the device {tensor.device.type}"
    return None


def _first_names(names: Iterable[str]) -> str:
    texts = [format_value(name) for name in names]
    more = f" and {len(texts) - _MAX_NAMES} more" if len(texts) > _MAX_NAMES else ""
    return ", ".join(texts[:_MAX_NAMES]) + more


def _shape_and_dtype(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
