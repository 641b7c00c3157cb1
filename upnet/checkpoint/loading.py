"""From a checkpoint file to a network."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from upnet.checkpoint.errors import reason
from upnet.checkpoint.metadata import parse_content
from upnet.checkpoint.safetensors_file import SUFFIX, read_safetensors
from upnet.checkpoint.torch_file import read_torch_file
from upnet.checkpoint.weights import Loaded, Weights, load_weights, select_weights
from upnet.config import Component, ConfigError, build, check, check_targets
from upnet.models import EncoderDecoder
from upnet.utils.paths import expand_user, require_file

SPARE_PARAMETERS, SPARE_NUMBERS = 256, 1 << 26
"""What a network may have beyond the file while it is built: a backbone, say, whose last stages are cut off."""


@contextmanager
def parameter_budget(state: Mapping[str, Tensor], on: str) -> Iterator[None]:
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


@dataclass
class _Described:
    """What of a checkpoint is held against signatures."""

    model: Component


def load_network(path: str | Path, weights: Weights = "ema", trust: Sequence[str] = ()) -> Loaded:
    """The network of a checkpoint file, or of a .safetensors export, on the CPU, in evaluation mode.

    weights: the averaged ones, or the raw ones they are the average of.
    trust:   modules beside upnet whose classes the checkpoint may build.

    No code in the file is run, and its config may build nothing but upnet's own components, which is checked before
    anything is imported. Raises ValueError where the file is missing, no checkpoint of upnet, of a format this version
    doesn't know, asks for other code, describes a network larger than itself, or holds weights that don't fit it.
    """
    path = expand_user(path)
    content = read(path)
    told = content["upnet"]
    try:
        state = select_weights(content["state_dict"], weights, path.stat().st_size)
        config = {"model": told["model"]}
        check_targets(config, trust)
        check(config, _Described)
        # Code from elsewhere may need numbers where it builds itself; ours does without.
        with parameter_budget(state, on="cpu" if trust else "meta"):
            net = build(told["model"], path="model")
    except ConfigError as fault:
        first, *others = str(fault).splitlines()
        raise ValueError(f"{path}: {first}" + f" (and {len(others)} more faults)" * bool(others)) from fault
    except (AttributeError, LookupError, NameError, AssertionError) as fault:
        raise ValueError(f"{path} describes a network that can't be built: {reason(fault)}") from fault
    except ValueError as fault:
        raise ValueError(f"{path} {fault}") from fault
    if not isinstance(net, EncoderDecoder):
        raise ValueError(f"{path} describes a {type(net).__name__}; a checkpoint of upnet describes an EncoderDecoder")
    if net.scale != told["scale"]:
        raise ValueError(f"{path} says that its scale is {told['scale']}, and describes a network of scale {net.scale}")
    try:
        load_weights(net, state)
    except ValueError as fault:
        raise ValueError(f"{path} {fault}") from fault
    return Loaded(net.eval().requires_grad_(False), told, weights, path)


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: `upnet`, what it says of itself, and `state_dict`, its weights; both checked.

    Raises ValueError as `load_network` does, and DamagedCheckpointError, which is one, where the file isn't whole.
    """
    require_file(path)
    content = read_safetensors(path) if path.suffix == SUFFIX else read_torch_file(path)
    try:
        return parse_content(content)
    except ValueError as fault:
        raise ValueError(f"{path} {fault}") from fault
