"""What the pickle in a checkpoint would do, followed without doing it."""

import pickletools
from pathlib import Path

import torch

_DICTIONARIES = frozenset({"collections.OrderedDict", "collections.Counter"})
_TENSORS = frozenset(f"torch._utils._rebuild_{what}" for what in ("tensor_v2", "parameter", "parameter_with_state"))
"""What makes dense tensors; whatever else makes tensors has checked too little of what it is given, time and again."""

_KEPT = frozenset({"SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS", "BUILD"})
"""What changes the thing that lies below its arguments, and leaves it there."""


def refuse_harm(path: Path) -> None:
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
