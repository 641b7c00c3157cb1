"""DatasetScores: the scores of a data set image by image, their means, and the remarks on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from upnet.metrics import PSNR_CAP, MeanScore, Score, mean

# Statements for `format_remark`; EXACT has a placeholder for the name of the output.
LEFT_OUT = "Left out of the means, because bicubic equals the target"
EXACT = f"Counted as {PSNR_CAP:g} dB, because {{}} equals the target"
ALL_EXACT = f"Bicubic equals the target in every image, and its PSNR counts as {PSNR_CAP:g} dB."


@dataclass
class DatasetScores:
    """The scores of one data set, for the evaluated method and for bicubic interpolation.

    name:       of the data set.
    image_hash: SHA-256 of the pixels of its HR and LR images.
    lr_from:    where the LR images come from: "files", "imresize" or "both"; see `upnet.evaluation.results`.
    method:     the scores of the method by image name.
    baseline:   the scores of bicubic interpolation by image name.

    >>> scores = DatasetScores("Set5")
    >>> scores.add("baby", Score(38.0, 0.97), Score(37.0, 0.96))
    >>> method, baseline = scores.means()
    >>> method.psnr, baseline.psnr
    (38.0, 37.0)
    """

    name: str
    image_hash: str = ""
    lr_from: str | None = None
    method: dict[str, Score] = field(default_factory=dict)
    baseline: dict[str, Score] = field(default_factory=dict)

    def add(self, image: str, method: Score, baseline: Score) -> None:
        """Add the scores of one image."""
        self.method[image] = method
        self.baseline[image] = baseline

    @property
    def counted_images(self) -> list[str]:
        """The images of the means: those that bicubic does not reproduce exactly, or all if there are none."""
        inexact = [name for name, score in self.baseline.items() if not math.isinf(score.psnr)]
        return inexact or list(self.baseline)

    def means(self) -> tuple[MeanScore, MeanScore]:
        """The mean scores of the method and of the baseline, over the same images."""
        names = self.counted_images
        return mean([self.method[name] for name in names]), mean([self.baseline[name] for name in names])

    def to_dict(self) -> dict[str, Any]:
        """The entry of the data set in results.json."""
        method, baseline = self.means()
        left_out = sorted(self.method.keys() - self.counted_images)
        exact = [name for name in self.counted_images if math.isinf(self.method[name].psnr)]
        content: dict[str, Any] = {
            **score_dict(method),
            "left_out": left_out,
            "exact": exact,
            "pictures": self.image_hash,
            "lr_from": self.lr_from,
            "baseline": {"name": "bicubic", **score_dict(baseline)},
            "images": {
                name: {**score_dict(score), "baseline": score_dict(self.baseline[name])}
                for name, score in self.method.items()
            },
        }
        remarks = [format_remark(LEFT_OUT, left_out), format_remark(EXACT.format("the output"), exact)]
        remarks += [ALL_EXACT] if baseline.exact else []
        if remark := " ".join(filter(None, remarks)):
            content["remark"] = remark
        return content


def format_remark(statement: str, images: Sequence[str], most: int = 5) -> str:
    """A sentence that lists up to `most` image names and counts the rest; empty without images.

    >>> format_remark("Left out", ["a", "b", "c"], most=2)
    'Left out: a, b and 1 more.'
    """
    if not images:
        return ""
    more = f" and {len(images) - most} more" if len(images) > most else ""
    return f"{statement}: {', '.join(images[:most])}{more}."


def score_dict(score: Score) -> dict[str, float | str]:
    """A score as results.json holds it.

    >>> score_dict(Score(math.inf, 1.0, perceptual={"lpips": 0.0}))
    {'psnr': 'inf', 'ssim': 1.0, 'lpips': 0.0}
    """
    perceptual = {name: round(value, 6) for name, value in score.perceptual.items()}
    return {"psnr": psnr_to_json(score.psnr), "ssim": round(score.ssim, 8), **perceptual}


def psnr_to_json(psnr: float) -> float | str:
    """A PSNR in dB rounded to 6 decimals. JSON has no infinity, which becomes the string "inf".

    >>> psnr_to_json(30.12345678), psnr_to_json(math.inf)
    (30.123457, 'inf')
    """
    return "inf" if math.isinf(psnr) else round(psnr, 6)
