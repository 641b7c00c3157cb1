"""A checkpoint as training writes it: torch's archive of plain data and tensors."""

import pickletools
import re
import struct
import zipfile
import zlib
from pathlib import Path

import torch

from upnet.checkpoint.errors import DamagedCheckpointError, reason

_DICTIONARIES = frozenset({"collections.OrderedDict", "collections.Counter"})
_TENSORS = frozenset(f"torch._utils._rebuild_{what}" for what in ("tensor_v2", "parameter", "parameter_with_state"))
"""What makes dense tensors; whatever else makes tensors has checked too little of what it is given, time and again."""

_KEPT = frozenset({"SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS", "BUILD"})
"""What changes the thing that lies below its arguments, and leaves it there."""


def reject_unsafe_pickle(path: Path) -> None:
    """Raise ValueError where the pickle of torch's archive would write past a tensor, or make one as no network has it.

    That is, where it puts items into anything but a dictionary, or asks for a quantised, a sparse or a nested tensor.

    torch 2.9 lets it put them into the memory of a tensor although `weights_only` is set (CVE-2026-24747), later ones
    don't; 2.12 takes the bounds of quantised tensors on trust, and 2.13 those of sparse ones. Raises whatever else a
    stranger's pickle makes Python raise.

    Source: https://github.com/pytorch/pytorch/security/advisories/GHSA-63cw-57p8-fm3p
    """
    # torch's own reader, since two readers of an archive need not find the same part by a name.
    pickled = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    stack, marks, memory = list[str](), list[int](), dict[object, str]()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memory[len(memory) if argument is None else argument] = stack[-1]
        else:
            taken = _take(opcode, stack, marks)
            if opcode.name in ("SETITEM", "SETITEMS") and taken[0] != "dict":
                raise ValueError("it puts items into what is no dictionary")
            stack += _left(opcode, argument, taken, memory)


def _take(opcode: pickletools.OpcodeInfo, stack: list[str], marks: list[int]) -> list[str]:
    """Take off the stack what an operation needs, down to its mark if it has one."""
    named = len(opcode.stack_before)
    marked = pickletools.stackslice in opcode.stack_before
    start = marks.pop() - named + 2 if marked else len(stack) - named
    if start < (marks[-1] if marks else 0):
        raise ValueError("its pickle takes more than it has put down")
    taken = stack[start:]
    del stack[start:]
    return taken


def _left(opcode: pickletools.OpcodeInfo, argument: object, taken: list[str], memory: dict[object, str]) -> list[str]:
    """What an operation leaves on the stack: `dict`, the `class` of one, or something `else`."""
    if opcode.name in _KEPT:
        return taken[:1]
    if opcode.name == "DUP":
        return taken * 2
    if opcode.name in ("GET", "BINGET", "LONG_BINGET"):
        return [memory[argument]]
    if opcode.name == "REDUCE":
        return ["dict" if taken[0] == "class" else "else"]
    if opcode.name == "GLOBAL":
        # As torch looks it up: wherever the pickle parts the module from the name, the path is the same.
        path = str(argument).replace(" ", ".")
        if path.rpartition(".")[2].startswith("_rebuild") and path not in _TENSORS:
            raise ValueError(f"it asks for {path}")
        return ["class" if path in _DICTIONARIES else "else"]
    return ["dict" if kind is pickletools.pydict else "else" for kind in opcode.stack_after]


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


def read_torch_file(path: Path) -> object:
    """What the file holds, its tensors still on the disk.

    Raises DamagedCheckpointError, a ValueError, where the file isn't whole or claims more than it has, and ValueError
    where it holds anything but plain data and tensors.
    """
    _check_whole(path)
    try:
        reject_unsafe_pickle(path)
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
