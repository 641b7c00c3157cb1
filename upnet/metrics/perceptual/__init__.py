"""Distances that were learnt from people's judgement; torchmetrics computes them: pip install -e '.[perceptual]'."""

from collections.abc import Sequence

import torch

from upnet.metrics.perceptual.base import PerceptualMetric
from upnet.metrics.perceptual.dists import DISTS
from upnet.metrics.perceptual.lpips import LPIPS

__all__ = ["DISTS", "LPIPS", "PERCEPTUAL_METRICS", "PerceptualMetric", "load_perceptual_metrics"]

PERCEPTUAL_METRICS: dict[str, type[PerceptualMetric]] = {measure.name: measure for measure in (LPIPS, DISTS)}


def load_perceptual_metrics(names: Sequence[str], device: torch.device | str = "cpu") -> list[PerceptualMetric]:
    """Measures by their names, their weights loaded, ready to use on a device.

    Raises ValueError, with the cure, for a name there is none of, and where a library or its weights can't be had.
    """
    for name in names:
        if name not in PERCEPTUAL_METRICS:
            raise ValueError(
                f"perceptual={name} is not known; beside PSNR and SSIM there are {', '.join(PERCEPTUAL_METRICS)}"
            )
    return [PERCEPTUAL_METRICS[name](torch.device(device)) for name in dict.fromkeys(names)]
