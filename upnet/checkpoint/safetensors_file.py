"""A network in a safetensors file: weights that are nothing but numbers, and beside them what they belong to.

The tensors have the names that the network gives them. The metadata, which are texts, hold

    upnet    what the checkpoint says of itself, as JSON; see `upnet.checkpoint.metadata`
    weights  `ema`, the averaged ones, or `raw`
    sha256   of all tensors, in the order of their names
    format   `pt`, which tells other readers that they are torch's

Source: https://github.com/huggingface/safetensors
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from upnet.checkpoint.errors import DamagedCheckpointError, reason
from upnet.checkpoint.weights import PREFIX, Loaded
from upnet.utils.atomic_io import atomic_write

SUFFIX = ".safetensors"


def export(loaded: Loaded, path: Path) -> None:
    """Write a network out of a checkpoint to a safetensors file, whole or not at all.

    Raises ValueError for a name that doesn't end in .safetensors, OSError where it can't be written.
    """
    from safetensors.torch import save

    if path.suffix != SUFFIX:
        raise ValueError(f"export={path} must end in {SUFFIX}, by which the file is known when it is read")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in loaded.net.state_dict().items()}
    metadata = {
        "format": "pt",
        "upnet": json.dumps(loaded.metadata, ensure_ascii=False),
        "weights": loaded.weights,
        "sha256": _digest(tensors),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(save(tensors, metadata), path)


def read_safetensors(path: Path) -> object:
    """What the file holds, in the form of a checkpoint that training writes.

    Raises DamagedCheckpointError, a ValueError, where the file isn't whole, and ValueError where it was not exported by
    upnet.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError, RuntimeError, AttributeError, KeyError, TypeError) as fault:
        raise DamagedCheckpointError(
            f"{path} is damaged, or no safetensors file at all: {reason(fault)}; export it from its checkpoint again"
        ) from fault
    told = _told(path, metadata)
    if metadata.get("sha256") != _digest(tensors):
        raise DamagedCheckpointError(
            f"{path} is damaged: the checksum of its weights is wrong; export it from its checkpoint again"
        )
    prefix = PREFIX[metadata["weights"]]
    return {"upnet": told, "state_dict": {f"{prefix}{name}": tensor for name, tensor in tensors.items()}}


def _told(path: Path, metadata: Mapping[str, str]) -> Any:
    if "upnet" not in metadata or metadata.get("weights") not in PREFIX:
        raise ValueError(
            f"{path} is no export of upnet: its metadata don't say which network its weights belong to; "
            "python evaluate.py checkpoint=PATH export=NAME.safetensors writes one"
        )
    try:
        return json.loads(metadata["upnet"])
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"{path} is no export of upnet: its metadata can't be read: {reason(fault)}") from fault


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
