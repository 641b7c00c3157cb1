"""Statistics of a study: every arm against the reference, with an interval that holds for new seeds and new images.

The quantity of interest is Δ, the difference in mean PSNR between two arms over the population of training seeds and of
images like the evaluated ones. Both factors are random and crossed: every seed is evaluated on every image.

`pairing` pairs the scores of two arms, `crossed` computes the interval and its p-value, `rank_tests` Holm's correction
and Wilcoxon's test, `power` the detectable effect. `comparison` combines them, and `verdicts` writes the sentences.
"""

from upnet.study.statistics.comparison import Comparison, compare
from upnet.study.statistics.power import VarianceShares

__all__ = ["Comparison", "VarianceShares", "compare"]
