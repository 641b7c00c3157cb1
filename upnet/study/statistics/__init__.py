"""How sure a study may be: every arm against a reference, with an interval that holds for new seeds and new images.

What is inferred is Δ, the difference in mean PSNR between two arms, over the population of training seeds and of
images like the ones scored. Both are random and crossed: every seed is scored on every image.

`pairing` takes the differences, `crossed` has the interval and its p-value, `second` Holm's correction and Wilcoxon's
test, `planning` says what the study could have seen, `comparison` puts them together and `words` says it in sentences.
"""

from upnet.study.statistics.comparison import Comparison, compare
from upnet.study.statistics.power import VarianceShares

__all__ = ["Comparison", "VarianceShares", "compare"]
