"""A class's settings as a table: names, types and defaults from its signature, meanings from its docstring."""

import inspect
import re
from importlib import import_module

from docstrings import arguments

BAR = "\\|"
"""A vertical bar inside a cell of a table."""


def load(target: str) -> type:
    """The class of a config's `_target_`."""
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def settings_table(cls: type) -> str:
    """A Markdown table with a row for each argument of the constructor. Base classes may describe arguments too."""
    meanings: dict[str, str] = {}
    for base in reversed(inspect.getmro(cls)[:-1]):
        meanings |= arguments(inspect.cleandoc(base.__doc__ or "").splitlines())
    rows = []
    for parameter in inspect.signature(cls).parameters.values():
        cells = f"`{parameter.name}`", _type(parameter), _default(parameter), meanings.get(parameter.name, "")
        rows.append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |")
    return "| setting | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _type(parameter: inspect.Parameter) -> str:
    """The annotation without the names of modules."""
    if parameter.annotation is parameter.empty:
        return ""
    annotation = inspect.formatannotation(parameter.annotation)
    return f"`{re.sub(r'[a-z_]+[.](?=[a-zA-Z_])', '', annotation)}`"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    return f"`{getattr(parameter.default, '__name__', None) or repr(parameter.default)}`"
