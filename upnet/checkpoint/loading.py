"""Load a network from a checkpoint file."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from upnet.checkpoint.errors import CheckpointError, reason
from upnet.checkpoint.metadata import parse_content
from upnet.checkpoint.safetensors_file import SUFFIX, read_safetensors
from upnet.checkpoint.torch_file import read_torch_file
from upnet.checkpoint.weights import Loaded, Weights, load_weights, select_weights
from upnet.config import Component, ConfigError, build, check, check_targets
from upnet.models import EncoderDecoder
from upnet.utils.paths import expand_user, require_checkpoint

SPARE_TENSORS, SPARE_ELEMENTS = 256, 1 << 26
"""Parameter tensors, and elements of them, that a network may have in addition to those of the file while it is built:
for example the last stages of a backbone, which its constructor removes."""


@contextmanager
def parameter_budget(state: Mapping[str, Tensor], device: str) -> Iterator[None]:
    """Create tensors on a device, and limit the parameters of a network that is built in this context.

    state:  the weights in the file. The network may have SPARE_TENSORS and SPARE_ELEMENTS more.
    device: cpu or meta.

    A config of a few bytes can describe a billion layers, or one layer that fills the memory. On the device `meta` a
    large layer needs no memory, and construction of many layers stops soon after they exceed the file.

    Raises CheckpointError from within the constructor that exceeds the budget.
    """
    tensors_left = len(state) + SPARE_TENSORS
    elements_left = sum(tensor.numel() for tensor in state.values()) + SPARE_ELEMENTS
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors_left, elements_left
        if parameter is None or threading.get_ident() != thread:
            return
        tensors_left, elements_left = tensors_left - 1, elements_left - parameter.numel()
        if min(tensors_left, elements_left) < 0:
            raise CheckpointError(f"this network is far larger than the {len(state)} tensors in the file")

    handle = register_module_parameter_registration_hook(count)
    try:
        with torch.device(device):
            yield
    finally:
        handle.remove()


@dataclass
class _ModelConfig:
    """The part of a checkpoint's metadata that is checked against signatures."""

    model: Component


def load_network(path: str | Path, weights: Weights = "ema", trust: Sequence[str] = ()) -> Loaded:
    """The network of a checkpoint file or of a .safetensors export, on the CPU, in evaluation mode.

    weights: `ema`, the averaged weights, or `raw`, the weights of the last step.
    trust:   modules outside upnet whose classes the checkpoint may build.

    No code in the file is run. Its config may build upnet's own components only, which is checked before anything is
    imported. Raises UserError if the file is missing, CheckpointError if it is not a checkpoint of upnet, has a newer
    format, requires other code, describes a network larger than the file, or contains weights that don't fit it.

    >>> loaded = load_network("runs/first/checkpoints/last.ckpt")  # doctest: +SKIP
    >>> loaded.net.scale, loaded.step  # doctest: +SKIP
    (2, 1600)
    """
    path = expand_user(path)
    content = read(path)
    metadata = content["upnet"]
    state = select_weights(content["state_dict"], weights, path, path.stat().st_size)
    net = _build(metadata["model"], state, path, trust)
    if net.scale != metadata["scale"]:
        raise CheckpointError(f"{path} has scale {metadata['scale']} and describes a network of scale {net.scale}")
    load_weights(net, state, path)
    return Loaded(net.eval().requires_grad_(False), metadata, weights, path)


def read(path: Path) -> dict[str, Any]:
    """The checked content of a checkpoint file: `upnet`, its metadata, and `state_dict`, its weights.

    Raises UserError if the file is missing, DamagedCheckpointError if it is incomplete, and CheckpointError if it is
    not a checkpoint of a known format.
    """
    require_checkpoint(path)
    content = read_safetensors(path) if path.suffix == SUFFIX else read_torch_file(path)
    return parse_content(content, path)


def _build(model: dict[str, Any], state: Mapping[str, Tensor], path: Path, trust: Sequence[str]) -> EncoderDecoder:
    """The network that a config describes, on the device `meta`, or on the CPU if it may be built by trusted code."""
    config = {"model": model}
    try:
        check_targets(config, trust)
        check(config, _ModelConfig)
        # Code from elsewhere may need values in its constructor.
        with parameter_budget(state, device="cpu" if trust else "meta"):
            net = build(model, path="model")
    except ConfigError as error:
        first, *others = str(error).splitlines()
        more = f" (and {len(others)} more errors)" if others else ""
        raise CheckpointError(f"{path}: {first}{more}") from error
    except (AttributeError, LookupError, NameError, AssertionError, ValueError) as error:
        raise CheckpointError(f"{path} describes a network that cannot be built: {reason(error)}") from error
    if not isinstance(net, EncoderDecoder):
        raise CheckpointError(f"{path} describes a {type(net).__name__}; a checkpoint describes an EncoderDecoder")
    return net
