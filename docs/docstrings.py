"""Docstrings of upnet as reStructuredText: plain paragraphs, formulas, a block of arguments, tables and doctests.

The docstrings are written to be read in an editor: arguments are lines `name: text` with aligned continuation lines,
code is in single backticks.
"""

import re
from collections.abc import Iterator
from typing import Any

ARGUMENT = re.compile(r"(?!Sources?:|Symbols:)([A-Za-z_][\w.]*(?:, [A-Za-z_]\w*)*): +(\S.*)")
_CODE = re.compile(r"``?([^`]+)``?")


def to_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The handler of Sphinx's event autodoc-process-docstring: replace the lines in place."""
    lines[:] = [line for paragraph in paragraphs(lines) for line in render(paragraph, what != "module")]


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """The lines between blank lines."""
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def render(paragraph: list[str], has_arguments: bool = True) -> list[str]:
    """A paragraph as lines of reStructuredText, with a blank line at its end.

    has_arguments: whether a line `name: text` is an argument; in the docstring of a module it is a sentence.
    """
    return [*_lines(paragraph, has_arguments), ""]


def arguments(lines: list[str]) -> dict[str, str]:
    """The meaning of each argument that a docstring describes, as text with single backticks."""
    meanings: dict[str, str] = {}
    for paragraph in paragraphs(lines):
        if ARGUMENT.fullmatch(paragraph[0]):
            for names, text in _items(paragraph)[0]:
                meanings |= dict.fromkeys(names.split(", "), text)
    return meanings


def _lines(paragraph: list[str], has_arguments: bool) -> Iterator[str]:
    first = paragraph[0].lstrip()
    if first.startswith((">>>", "...")):
        yield from paragraph
    elif first.startswith(".. math::"):
        # A directive ends at the next one.
        for line in paragraph:
            yield from ["", line] if line.lstrip().startswith("..") else [line]
    elif first.startswith("|") or paragraph[0].startswith("    "):
        yield "::"
        yield ""
        yield from (f"    {line}" for line in paragraph)
    elif has_arguments and ARGUMENT.fullmatch(first):
        items, rest = _items(paragraph)
        yield from (f"* ``{names}`` – {_inline(text)}" for names, text in items)
        if rest:
            yield ""
            yield _inline(" ".join(rest))
    elif first.startswith(("- ", "* ")):
        yield from map(_inline, paragraph)
    else:
        yield " ".join(_inline(line.strip()) for line in paragraph)


def _items(paragraph: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """A list of arguments. Indented lines continue the argument before them; any other line begins a paragraph."""
    items: list[tuple[str, str]] = []
    rest: list[str] = []
    for line in paragraph:
        match = None if line.startswith(" ") or rest else ARGUMENT.fullmatch(line)
        if match:
            items.append((match[1], match[2]))
        elif line.startswith(" ") and not rest:
            items[-1] = items[-1][0], f"{items[-1][1]} {line.strip()}"
        else:
            rest.append(line.strip())
    return items, rest


def _inline(text: str) -> str:
    """Code in double backticks, and no other markup: `*`, `|` and a trailing `_` stand for themselves."""
    parts = _CODE.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"([*|\\])", r"\\\1", re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", parts[index]))
    return "".join(part if index % 2 == 0 else f"``{part}``" for index, part in enumerate(parts))
