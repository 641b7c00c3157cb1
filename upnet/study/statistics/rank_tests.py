"""Holm's correction for several comparisons, and Wilcoxon's signed-rank test."""

from collections.abc import Sequence

import numpy as np


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that the probability of any false positive among them is at most alpha.

    "A Simple Sequentially Rejective Multiple Test Procedure", https://www.jstor.org/stable/4615733

    >>> [round(p, 3) for p in holm_correction([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(stepped)
    return corrected.tolist()


def wilcoxon_test(differences: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test over images.

    differences: (n, m) in dB, n seeds by m images.

    The ranks are those of each image's mean over seeds, so the seeds are treated as fixed: the result holds for these
    trained networks on images of this kind. Below six images the p-value can't fall below 0.05.
    "Individual Comparisons by Ranking Methods", https://doi.org/10.2307/3001968

    >>> wilcoxon_test(np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]))
    0.03125
    """
    from scipy.stats import wilcoxon

    image_means = differences.mean(axis=0)
    if not image_means.any():
        return 1.0
    return float(np.asarray(wilcoxon(image_means))[1])
