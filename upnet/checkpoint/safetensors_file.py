"""A network in a safetensors file: its tensors, and metadata that describes the network.

The tensors have the names of the network's state_dict. The metadata, a mapping of strings, contains

    upnet    the metadata of the checkpoint, as JSON; see `upnet.checkpoint.describe`
    weights  `ema`, the averaged weights, or `raw`
    sha256   of all tensors, in the order of their names
    format   `pt`, which tells other readers that they are torch tensors

Source: https://github.com/huggingface/safetensors
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from upnet.checkpoint.errors import CheckpointError, DamagedCheckpointError, reason
from upnet.checkpoint.weights import PREFIX, Loaded
from upnet.utils.atomic_io import atomic_write
from upnet.utils.errors import UserError

SUFFIX = ".safetensors"
_EXPORT_AGAIN = "Export it from its checkpoint again"


def export(loaded: Loaded, path: Path) -> None:
    """Write the network of a checkpoint to a safetensors file. The file appears when it is complete.

    Raises UserError if the name doesn't end in .safetensors or the file cannot be written.
    """
    from safetensors.torch import save

    if path.suffix != SUFFIX:
        raise UserError(
            f"must be a file name that ends in {SUFFIX}", setting="export", value=str(path), allowed=f"NAME{SUFFIX}"
        )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in loaded.net.state_dict().items()}
    metadata = {
        "format": "pt",
        "upnet": json.dumps(loaded.metadata, ensure_ascii=False),
        "weights": loaded.weights,
        "sha256": _digest(tensors),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(save(tensors, metadata), path)
    except OSError as error:
        raise UserError(f"cannot be written: {reason(error)}", setting="export", value=str(path)) from error


def read_safetensors(path: Path) -> object:
    """The content of the file, in the form of a checkpoint written by training.

    Raises DamagedCheckpointError if the file is incomplete, and CheckpointError if upnet didn't export it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            file_metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError, RuntimeError, AttributeError, KeyError, TypeError) as error:
        raise DamagedCheckpointError(
            f"{path} is damaged, or not a safetensors file: {reason(error)}", cure=_EXPORT_AGAIN
        ) from error
    metadata = _parse_metadata(path, file_metadata)
    if file_metadata.get("sha256") != _digest(tensors):
        raise DamagedCheckpointError(f"{path} is damaged: the checksum of its weights is wrong", cure=_EXPORT_AGAIN)
    prefix = PREFIX[file_metadata["weights"]]
    return {"upnet": metadata, "state_dict": {f"{prefix}{name}": tensor for name, tensor in tensors.items()}}


def _parse_metadata(path: Path, file_metadata: Mapping[str, str]) -> Any:
    if "upnet" not in file_metadata or file_metadata.get("weights") not in PREFIX:
        raise CheckpointError(
            f"{path} is not an export of upnet: its metadata doesn't describe a network",
            cure="upnet evaluate checkpoint=PATH export=NAME.safetensors writes one",
        )
    try:
        return json.loads(file_metadata["upnet"])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not an export of upnet: its metadata cannot be parsed: {reason(error)}"
        ) from error


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
