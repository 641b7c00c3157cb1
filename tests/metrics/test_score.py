import math

import pytest

from upnet.metrics import PSNR_CAP, MeanScore, Score, gain, mean


def test_mean_psnr_is_the_mean_of_decibels() -> None:
    assert mean([Score(30.0, 0.5), Score(40.0, 0.75)]) == MeanScore(35.0, 0.625, 2, 0)
    assert mean([Score(30.0, 0.8)]).remark is None


def test_exact_output_counts_as_the_psnr_cap_and_adds_a_remark() -> None:
    result = mean([Score(30.0, 0.8), Score(math.inf, 1.0), Score(50.0, 0.9)])
    assert (result.psnr, result.ssim) == (60.0, pytest.approx(0.9))
    assert (result.images, result.exact) == (3, 1)
    assert result.remark is not None
    assert "1 of 3 images" in result.remark


def test_mean_does_not_decrease_with_the_psnr_of_an_image() -> None:
    means = [mean([Score(30.0, 0.8), Score(psnr, 1.0)]).psnr for psnr in (60.0, 99.0, 100.0, 130.0, math.inf)]
    assert means == sorted(means)


def test_mean_of_exact_outputs_is_the_psnr_cap_with_a_remark() -> None:
    result = mean([Score(math.inf, 1.0)] * 2)
    assert (result.psnr, result.ssim, result.images, result.exact) == (PSNR_CAP, 1.0, 2, 2)
    assert result.remark is not None
    assert "2 of 2 images" in result.remark


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (30.0, 31.5, 1.5),
        (math.inf, math.inf, 0.0),
        ("inf", "inf", 0.0),
        (30.0, math.inf, math.inf),
        (math.inf, 30.0, -math.inf),
    ],
)
def test_gain_is_not_nan(before: float | str, after: float | str, expected: float) -> None:
    assert gain(before, after) == expected


def test_mean_is_a_score() -> None:
    assert isinstance(mean([Score(30.0, 0.8)]), Score)


def test_mean_of_no_scores_is_rejected() -> None:
    with pytest.raises(ValueError, match="got none"):
        mean([])


@pytest.mark.parametrize("bad", [Score(math.nan, 0.5), Score(30.0, math.nan)])
def test_nan_scores_are_rejected(bad: Score) -> None:
    with pytest.raises(ValueError, match="is NaN"):
        mean([Score(30.0, 0.8), bad])
