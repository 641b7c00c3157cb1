"""A checkpoint as training writes it: torch's archive of plain data and tensors."""

import re
import struct
import zipfile
import zlib
from pathlib import Path

import torch

from upnet.checkpoint.faults import DamagedCheckpointError, reason
from upnet.checkpoint.pickled import refuse_harm

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def read_archive(path: Path) -> object:
    """What the file holds, its tensors still on the disk.

    Raises DamagedCheckpointError, a ValueError, where the file isn't whole or claims more than it has, and ValueError
    where it holds anything but plain data and tensors.
    """
    _check_whole(path)
    try:
        refuse_harm(path)
        # Mapped, a tensor is never larger than its share of the file, whatever the file says of it.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as fault:  # a pickle from a stranger can make torch's reader raise anything
        raise ValueError(
            f"{path} can't be read as a checkpoint: {_asked(fault)}. It holds more than plain data and tensors, which "
            "upnet never runs"
        ) from fault


def _asked(fault: Exception) -> str:
    """What torch refused, without its advice to run it all the same."""
    told = str(fault)
    name = re.search(r"GLOBAL ([\w.]{1,100})", told)
    if name:
        return f"it asks for {name[1]}"
    return reason(told.partition("WeightsUnpickler error:")[2].partition("Check the documentation")[0] or fault)


def _check_whole(path: Path) -> None:
    """Compare sizes, and the checksums that torch writes into the file, an archive, beside each of its parts.

    torch compresses nothing. What is compressed, or lies in the same bytes as another part, can be of any size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
            claimed = sum(max(part.file_size, part.compress_size) for part in parts)
            damaged = None if packed or claimed > path.stat().st_size else archive.testzip()
    except _DAMAGE as fault:
        raise _damage(path, f", or no checkpoint at all: {reason(fault)}") from fault
    if packed or claimed > path.stat().st_size:
        raise _damage(path, ", or not written by torch: its parts are compressed, or claim more than the file holds")
    if damaged is not None:
        raise _damage(path, f": the checksum of its part {damaged!r:.100} is wrong")


def _damage(path: Path, what: str) -> DamagedCheckpointError:
    return DamagedCheckpointError(f"{path} is damaged{what}; an earlier state may lie beside it, as last-1.ckpt")
