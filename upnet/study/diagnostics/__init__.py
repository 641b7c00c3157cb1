"""Diagnostics beyond PSNR and SSIM: one module per diagnostic; the folder is the registry.

`diagnostics()` returns all of them by name, `measure(net, pictures)` computes them for a network. Each declares its
unit, which direction is better, its formula and its source. Names are imported on first use.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from upnet.study.diagnostics.base import Behaviour as Behaviour
    from upnet.study.diagnostics.base import Cost as Cost
    from upnet.study.diagnostics.base import Diagnostic as Diagnostic
    from upnet.study.diagnostics.base import Motion as Motion
    from upnet.study.diagnostics.base import OnPicture as OnPicture
    from upnet.study.diagnostics.base import diagnostics as diagnostics
    from upnet.study.diagnostics.measure import describe as describe
    from upnet.study.diagnostics.measure import measure as measure
    from upnet.study.diagnostics.measure import measure_method as measure_method
    from upnet.study.diagnostics.methods import Subject as Subject

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["Behaviour", "Cost", "Diagnostic", "Motion", "OnPicture", "diagnostics"],
        "measure": ["describe", "measure", "measure_method"],
        "methods": ["Subject"],
    },
)
