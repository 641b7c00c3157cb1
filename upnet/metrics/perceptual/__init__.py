"""Perceptual metrics: distances learned from human judgement, computed by torchmetrics.

Installation: pip install -e '.[perceptual]'
"""

from collections.abc import Sequence

import torch

from upnet.metrics.perceptual.base import PerceptualMetric
from upnet.metrics.perceptual.dists import DISTS
from upnet.metrics.perceptual.lpips import LPIPS
from upnet.utils.errors import UserError, did_you_mean, join_or

__all__ = ["DISTS", "LPIPS", "PERCEPTUAL_METRICS", "PerceptualMetric", "load_perceptual_metrics"]

PERCEPTUAL_METRICS: dict[str, type[PerceptualMetric]] = {metric.name: metric for metric in (LPIPS, DISTS)}


def load_perceptual_metrics(names: Sequence[str], device: torch.device | str = "cpu") -> list[PerceptualMetric]:
    """Load perceptual metrics by name, with their weights, onto a device; a repeated name is loaded once.

    Raises UserError for unknown names, and where the library or its weights are missing.
    """
    for name in names:
        if name not in PERCEPTUAL_METRICS:
            raise UserError(
                "is not a perceptual metric",
                setting="perceptual",
                value=name,
                allowed=join_or(PERCEPTUAL_METRICS),
                cure=did_you_mean(name, PERCEPTUAL_METRICS),
            )
    return [PERCEPTUAL_METRICS[name](torch.device(device)) for name in dict.fromkeys(names)]
