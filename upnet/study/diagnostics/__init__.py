"""What PSNR and SSIM don't tell: one module per diagnostic, and the folder is the list of them.

`diagnostics()` finds them all by name, `measure(net, pictures)` computes them for a network, and each says its unit,
which direction is better, its formula and its source. Names are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upnet.study.diagnostics.base import Behaviour as Behaviour
    from upnet.study.diagnostics.base import Cost as Cost
    from upnet.study.diagnostics.base import Diagnostic as Diagnostic
    from upnet.study.diagnostics.base import Motion as Motion
    from upnet.study.diagnostics.base import OnPicture as OnPicture
    from upnet.study.diagnostics.measuring import describe as describe
    from upnet.study.diagnostics.measuring import measure as measure
    from upnet.study.diagnostics.measuring import measure_method as measure_method
    from upnet.study.diagnostics.registry import diagnostics as diagnostics
    from upnet.study.diagnostics.subject import Subject as Subject

_HOME = {
    "Behaviour": "base",
    "Cost": "base",
    "Diagnostic": "base",
    "Motion": "base",
    "OnPicture": "base",
    "Subject": "subject",
    "describe": "measuring",
    "diagnostics": "registry",
    "measure": "measuring",
    "measure_method": "measuring",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
