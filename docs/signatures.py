"""Settings as a table: names, types and defaults from a signature, meanings from the docstring."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from docstrings import arguments

BAR = "\\|"
"""A vertical bar inside a cell of a table."""


def load(target: str) -> Any:
    """The class or function of a config's `_target_`."""
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def settings_table(target: Callable[..., Any]) -> str:
    """A Markdown table with a row for each argument of a class or function. Base classes may describe arguments too."""
    meanings: dict[str, str] = {}
    for base in reversed(getattr(target, "__mro__", (target, object))[:-1]):
        meanings |= arguments(inspect.cleandoc(base.__doc__ or "").splitlines())
    rows = []
    for parameter in inspect.signature(target).parameters.values():
        cells = f"`{parameter.name}`", _type(parameter), _default(parameter), meanings.get(parameter.name, "")
        rows.append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |")
    head = "| setting | type | default | meaning |\n|---|---|---|---|\n"
    return "````{container} meanings\n" + head + "\n".join(rows) + "\n````"


def _type(parameter: inspect.Parameter) -> str:
    """The annotation without the names of modules, ranges as inequalities: `int ≥ 1, ≤ 5`."""
    if parameter.annotation is parameter.empty:
        return ""
    text = re.sub(r"[a-z_]+[.](?=[a-zA-Z_])", "", inspect.formatannotation(parameter.annotation))
    for name, sign in (("Ge", "≥"), ("Gt", ">"), ("Le", "≤"), ("Lt", "<")):
        text = re.sub(rf"{name}\({name.lower()}=([^()]+)\)", rf"{sign} \1", text)
    text = re.sub(r"Annotated\[(.+?), ([^][]+)\]", r"\1 \2", text)
    return f"`{text}`"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    return f"`{getattr(parameter.default, '__name__', None) or repr(parameter.default)}`"
