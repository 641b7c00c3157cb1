"""A checkpoint: what it says of itself, and the way back from a file to a network, without running foreign code."""

import pickle
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from upnet.asked import refuse_missing
from upnet.config import ConfigError, build, check_targets
from upnet.models import EncoderDecoder
from upnet.version import VERSION

FORMAT = 1
"""Counted up whenever what a checkpoint says of itself changes."""


class DamagedCheckpointError(ValueError):
    """A checkpoint file that is cut short or altered; the message names it."""


@dataclass(frozen=True)
class Loaded:
    """A network out of a checkpoint, ready to enlarge pictures, and what the file says of it.

    config: the network's resolved config.
    step:   the optimizer steps it was trained for.
    path:   where it came from.
    """

    net: EncoderDecoder
    config: dict[str, Any]
    step: int
    path: Path


def describe(config: Mapping[str, Any], settings: Mapping[str, Any], scale: int, step: int) -> dict[str, Any]:
    """What a checkpoint says of itself, as plain data: the network's config, and the settings it is trained under."""
    return {
        "format": FORMAT,
        "model": dict(config),
        "settings": dict(settings),
        "scale": scale,
        "step": step,
        "versions": {"upnet": VERSION, "torch": str(torch.__version__)},
    }


def load_network(path: str | Path, weights: Literal["ema", "raw"] = "ema", trust: Sequence[str] = ()) -> Loaded:
    """The network of a checkpoint file, on the CPU, in evaluation mode.

    weights: the averaged ones, or the raw ones they are the average of.
    trust:   modules beside upnet whose classes the checkpoint may build.

    The file is read with `weights_only=True`, and its config may build nothing but upnet's own components, which is
    checked before anything is imported. Raises ValueError where the file is missing, no checkpoint of upnet, of a
    format this version doesn't know, asks for other code, or holds weights that don't fit its own config.
    """
    path = Path(path)
    content = read(path)
    told = content["upnet"]
    try:
        check_targets({"model": told["model"]}, trust=trust)
        net = build(told["model"], path="model")
    except ConfigError as fault:
        raise ValueError(f"{path}: {fault}") from fault
    if not isinstance(net, EncoderDecoder):
        raise ValueError(f"{path} describes a {type(net).__name__}; a checkpoint of upnet describes an EncoderDecoder")
    prefix = "ema.net." if weights == "ema" else "net."
    state = {key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)}
    try:
        net.load_state_dict(state)
    except RuntimeError as fault:
        reason = " ".join(str(fault).split())
        raise ValueError(f"{path}: the weights don't fit the network the file describes: {reason}") from fault
    return Loaded(net.eval().requires_grad_(False), told["model"], int(told["step"]), path)


def read(path: Path) -> dict[str, Any]:
    """The checked content of a checkpoint file.

    Raises ValueError as `load_network` does, and DamagedCheckpointError, which is one, where the file isn't whole.
    """
    refuse_missing(path)
    _check_whole(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as fault:
        reason = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise ValueError(
            f"{path} can't be read as a checkpoint: {reason[:200]}. It holds more than plain data and tensors, which "
            "upnet never runs"
        ) from fault
    told = content.get("upnet") if isinstance(content, dict) else None
    if not isinstance(told, dict) or not isinstance(content.get("state_dict"), dict):
        raise ValueError(f"{path} is no checkpoint of upnet: it doesn't say which network its weights belong to")
    if told.get("format") != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {told.get('format')!r}, and upnet {VERSION} reads format "
            f"{FORMAT}; use the version it was written by"
        )
    if not isinstance(told.get("model"), dict) or not isinstance(told.get("step"), int):
        raise ValueError(f"{path} is no whole checkpoint: its model or its step is missing")
    return content


def _check_whole(path: Path) -> None:
    """Compare the checksums that torch writes into the file, an archive, beside each of its parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as fault:
        raise DamagedCheckpointError(
            f"{path} is damaged, or no checkpoint at all: {str(fault) or type(fault).__name__}; "
            "an earlier state may lie beside it, as last-1.ckpt"
        ) from fault
    if damaged is not None:
        raise DamagedCheckpointError(
            f"{path} is damaged: the checksum of its part {damaged} is wrong; "
            "an earlier state may lie beside it, as last-1.ckpt"
        )
