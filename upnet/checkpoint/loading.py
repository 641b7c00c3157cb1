"""From a checkpoint file to a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upnet.asked import refuse_missing
from upnet.checkpoint.archive import read_archive
from upnet.checkpoint.description import understood
from upnet.checkpoint.exported import SUFFIX, read_exported
from upnet.checkpoint.faults import reason
from upnet.checkpoint.loaded import Loaded
from upnet.checkpoint.skeleton import no_larger_than
from upnet.checkpoint.weights import Weights, chosen, fill
from upnet.command_line import user_path
from upnet.config import Component, ConfigError, build, check, check_targets
from upnet.models import EncoderDecoder


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
    path = user_path(path)
    content = read(path)
    told = content["upnet"]
    try:
        state = chosen(content["state_dict"], weights, path.stat().st_size)
        config = {"model": told["model"]}
        check_targets(config, trust)
        check(config, _Described)
        # Code from elsewhere may need numbers where it builds itself; ours does without.
        with no_larger_than(state, on="cpu" if trust else "meta"):
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
        fill(net, state)
    except ValueError as fault:
        raise ValueError(f"{path} {fault}") from fault
    return Loaded(net.eval().requires_grad_(False), told, weights, path)


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: `upnet`, what it says of itself, and `state_dict`, its weights; both checked.

    Raises ValueError as `load_network` does, and DamagedCheckpointError, which is one, where the file isn't whole.
    """
    refuse_missing(path)
    content = read_exported(path) if path.suffix == SUFFIX else read_archive(path)
    try:
        return understood(content)
    except ValueError as fault:
        raise ValueError(f"{path} {fault}") from fault
