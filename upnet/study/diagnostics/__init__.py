"""Diagnostics beyond PSNR and SSIM: one module per diagnostic; the folder is the registry.

`diagnostics()` returns all of them by name, `measure(net, images)` computes them for a network. Each declares its unit,
which direction is better, its formula and its source. Names are imported on first use.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from upnet.study.diagnostics.base import CostDiagnostic as CostDiagnostic
    from upnet.study.diagnostics.base import Diagnostic as Diagnostic
    from upnet.study.diagnostics.base import ImageDiagnostic as ImageDiagnostic
    from upnet.study.diagnostics.base import ShiftDiagnostic as ShiftDiagnostic
    from upnet.study.diagnostics.base import SyntheticDiagnostic as SyntheticDiagnostic
    from upnet.study.diagnostics.base import diagnostics as diagnostics
    from upnet.study.diagnostics.methods import UpscalingMethod as UpscalingMethod
    from upnet.study.diagnostics.run import describe as describe
    from upnet.study.diagnostics.run import measure as measure
    from upnet.study.diagnostics.run import measure_method as measure_method

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": [
            "SyntheticDiagnostic",
            "CostDiagnostic",
            "Diagnostic",
            "ShiftDiagnostic",
            "ImageDiagnostic",
            "diagnostics",
        ],
        "run": ["describe", "measure", "measure_method"],
        "methods": ["UpscalingMethod"],
    },
)
