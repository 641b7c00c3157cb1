"""Read a checkpoint that training wrote: torch's zip archive, as plain data and tensors only."""

import pickletools
import re
import struct
import zipfile
import zlib
from pathlib import Path

import torch

from upnet.checkpoint.errors import CheckpointError, DamagedCheckpointError, reason

_DICTIONARIES = frozenset({"collections.OrderedDict", "collections.Counter"})
_TENSORS = frozenset(f"torch._utils._rebuild_{suffix}" for suffix in ("tensor_v2", "parameter", "parameter_with_state"))
"""Functions that rebuild dense tensors. Functions for other kinds of tensors have lacked checks of their
arguments."""
_IN_PLACE = frozenset({"SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS", "BUILD"})
"""Opcodes that change the object below their arguments, and leave it on the stack."""
_DAMAGE_ERRORS = (
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
"""What reading a damaged zip archive raises."""


def read_torch_file(path: Path) -> object:
    """The content of the file; its tensors are memory-mapped.

    Raises DamagedCheckpointError if the file is incomplete or claims more data than it has, and CheckpointError if it
    contains anything but plain data and tensors.
    """
    _check_archive(path)
    try:
        reject_unsafe_pickle(path)
        # Memory-mapped, a tensor is never larger than its part of the file, whatever size the file claims.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a malicious pickle can make torch's reader raise any exception
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {_rejection_reason(error)}. It contains more than plain data and "
            "tensors, which upnet never runs"
        ) from error


def reject_unsafe_pickle(path: Path) -> None:
    """Raise ValueError if the pickle in torch's archive could write outside a tensor, or rebuilds an unusual tensor.

    That is, if it sets items of anything but a dictionary, or rebuilds a quantised, a sparse or a nested tensor.
    torch 2.9 lets a pickle set items in the memory of a tensor in spite of `weights_only` (CVE-2026-24747), which later
    versions don't; 2.12 doesn't check the bounds of quantised tensors, and 2.13 those of sparse ones.

    A malicious pickle may make Python raise other exceptions here.

    Source: https://github.com/pytorch/pytorch/security/advisories/GHSA-63cw-57p8-fm3p
    """
    # torch's own reader, since two readers of an archive may find different parts for one name.
    pickled = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    stack, marks, memo = list[str](), list[int](), dict[object, str]()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        else:
            operands = _pop_operands(opcode, stack, marks)
            if opcode.name in ("SETITEM", "SETITEMS") and operands[0] != "dict":
                raise ValueError("it sets items of an object that is not a dictionary")
            stack += _results(opcode, argument, operands, memo)


def _pop_operands(opcode: pickletools.OpcodeInfo, stack: list[str], marks: list[int]) -> list[str]:
    """Pop the operands of an opcode from the stack, down to its mark if it has one."""
    fixed = len(opcode.stack_before)
    marked = pickletools.stackslice in opcode.stack_before
    start = marks.pop() - fixed + 2 if marked else len(stack) - fixed
    if start < (marks[-1] if marks else 0):
        raise ValueError("its pickle pops more than it has pushed")
    operands = stack[start:]
    del stack[start:]
    return operands


def _results(
    opcode: pickletools.OpcodeInfo, argument: object, operands: list[str], memo: dict[object, str]
) -> list[str]:
    """What an opcode pushes: `dict`, `class` for a dictionary class, or `other`."""
    if opcode.name in _IN_PLACE:
        return operands[:1]
    if opcode.name == "DUP":
        return operands * 2
    if opcode.name in ("GET", "BINGET", "LONG_BINGET"):
        return [memo[argument]]
    if opcode.name == "REDUCE":
        return ["dict" if operands[0] == "class" else "other"]
    if opcode.name == "GLOBAL":
        # As torch looks it up: wherever the pickle separates module and name, the dotted path is the same.
        path = str(argument).replace(" ", ".")
        if path.rpartition(".")[2].startswith("_rebuild") and path not in _TENSORS:
            raise ValueError(f"it refers to {path}")
        return ["class" if path in _DICTIONARIES else "other"]
    return ["dict" if kind is pickletools.pydict else "other" for kind in opcode.stack_after]


def _rejection_reason(error: Exception) -> str:
    """What torch rejected, without its advice to load the file with weights_only=False."""
    message = str(error)
    name = re.search(r"GLOBAL ([\w.]{1,100})", message)
    if name:
        return f"it refers to {name[1]}"
    return reason(message.partition("WeightsUnpickler error:")[2].partition("Check the documentation")[0] or error)


def _check_archive(path: Path) -> None:
    """Compare sizes, and verify the checksum of each part of the zip archive.

    torch compresses nothing. A compressed part, or one that shares bytes with another part, could have any size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            compressed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
            claimed = sum(max(part.file_size, part.compress_size) for part in parts)
            suspicious = compressed or claimed > path.stat().st_size
            damaged_part = None if suspicious else archive.testzip()
    except _DAMAGE_ERRORS as error:
        raise _damaged_error(path, f", or not a checkpoint: {reason(error)}") from error
    if suspicious:
        raise _damaged_error(path, ", or not written by torch: its parts are compressed or claim too many bytes")
    if damaged_part is not None:
        raise _damaged_error(path, f": the checksum of its part {damaged_part!r:.100} is wrong")


def _damaged_error(path: Path, fault: str) -> DamagedCheckpointError:
    return DamagedCheckpointError(
        f"{path} is damaged{fault}",
        cure="If a run wrote it, use its earlier checkpoint last-1.ckpt in the same folder",
    )
