"""Docstrings of upnet as reStructuredText: plain paragraphs, formulas, a block of arguments, tables and doctests.

The docstrings are written to be read in an editor: arguments are lines `name: text` with aligned continuation lines,
code is in single backticks.
"""

import re
from collections.abc import Iterator
from typing import Any

_ARGUMENT = re.compile(r"([A-Za-z_][\w.]*(?:, [A-Za-z_]\w*)*): +(\S.*)")
_CODE = re.compile(r"``?([^`]+)``?")


def to_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The handler of Sphinx's event autodoc-process-docstring: replace the lines in place."""
    lines[:] = list(_blocks(lines))


def _blocks(lines: list[str]) -> Iterator[str]:
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield from _block(block)
            yield ""
            block = []


def _block(block: list[str]) -> Iterator[str]:
    first = block[0].lstrip()
    if first.startswith((">>>", "...", ".. math::")):
        yield from block
    elif first.startswith("|") or block[0].startswith("    "):
        yield "::"
        yield ""
        yield from (f"    {line}" for line in block)
    elif _ARGUMENT.fullmatch(first):
        yield from _arguments(block)
    elif first.startswith(("- ", "* ")):
        yield from map(_inline, block)
    else:
        yield " ".join(_inline(line.strip()) for line in block)


def _arguments(block: list[str]) -> Iterator[str]:
    """A list of arguments. Indented lines continue the argument before them; any other line begins a paragraph."""
    items: list[str] = []
    rest: list[str] = []
    for line in block:
        match = None if line.startswith(" ") or rest else _ARGUMENT.fullmatch(line)
        if match:
            items.append(f"* ``{match[1]}`` – {_inline(match[2])}")
        elif line.startswith(" ") and not rest:
            items[-1] += f" {_inline(line.strip())}"
        else:
            rest.append(_inline(line.strip()))
    yield from items
    if rest:
        yield ""
        yield " ".join(rest)


def _inline(text: str) -> str:
    """Code in double backticks, and no other markup: `*`, `|` and a trailing `_` stand for themselves."""
    parts = _CODE.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"([*|\\])", r"\\\1", re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", parts[index]))
    return "".join(part if index % 2 == 0 else f"``{part}``" for index, part in enumerate(parts))
