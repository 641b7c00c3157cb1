"""Beside the interval: a correction for many arms, and a second opinion that needs no normal distribution."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that, over all of them, one false finding has at most the probability alpha.

    "A Simple Sequentially Rejective Multiple Test Procedure", https://www.jstor.org/stable/4615733
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(stepped)
    return corrected.tolist()


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed ranks over pictures, of (n, m) differences, n seeds by m pictures.

    The ranks are those of each picture's mean over seeds, so the seeds are taken as they are: what it finds holds for
    these trained networks on pictures like these. Below six pictures it can't fall below 0.05.
    "Individual Comparisons by Ranking Methods", https://doi.org/10.2307/3001968
    """
    from scipy.stats import wilcoxon as signed_ranks

    per_picture = differences.mean(axis=0)
    if not per_picture.any():
        return 1.0
    return float(np.asarray(signed_ranks(per_picture))[1])
