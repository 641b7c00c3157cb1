"""Distances that were learnt from people's judgement; torchmetrics computes them: pip install -e '.[perceptual]'."""

from collections.abc import Sequence

import torch

from upnet.metrics.perceptual.base import Measure
from upnet.metrics.perceptual.dists import DISTS
from upnet.metrics.perceptual.lpips import LPIPS

__all__ = ["DISTS", "LPIPS", "MEASURES", "Measure", "open_measures"]

MEASURES: dict[str, type[Measure]] = {measure.name: measure for measure in (LPIPS, DISTS)}


def open_measures(names: Sequence[str], device: torch.device | str = "cpu") -> list[Measure]:
    """Measures by their names, their weights loaded, ready to use on a device.

    Raises ValueError, with the cure, for a name there is none of, and where a library or its weights can't be had.
    """
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"measures={name} is not known; beside PSNR and SSIM there are {', '.join(MEASURES)}")
    return [MEASURES[name](torch.device(device)) for name in dict.fromkeys(names)]
