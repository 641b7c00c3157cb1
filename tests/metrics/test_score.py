import math

import pytest

from upnet.metrics import PSNR_CAP, MeanScore, Score, gain, mean


def test_the_mean_is_over_the_pictures_decibels() -> None:
    assert mean([Score(30.0, 0.5), Score(40.0, 0.75)]) == MeanScore(35.0, 0.625, 2, 0)
    assert mean([Score(30.0, 0.8)]).remark is None


def test_an_exact_output_raises_the_mean_and_is_remarked_upon() -> None:
    result = mean([Score(30.0, 0.8), Score(math.inf, 1.0), Score(50.0, 0.9)])
    assert (result.psnr, result.ssim) == (60.0, pytest.approx(0.9))
    assert (result.images, result.exact) == (3, 1)
    assert result.remark is not None
    assert "1 of 3 images" in result.remark


def test_an_exact_output_is_never_worth_less_than_one_that_is_almost_exact() -> None:
    means = [mean([Score(30.0, 0.8), Score(psnr, 1.0)]).psnr for psnr in (60.0, 99.0, 100.0, 130.0, math.inf)]
    assert means == sorted(means)


def test_where_all_outputs_are_exact_the_mean_is_finite_and_says_so() -> None:
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
def test_a_gain_is_never_nan(before: float | str, after: float | str, expected: float) -> None:
    assert gain(before, after) == expected


def test_a_mean_is_a_score() -> None:
    assert isinstance(mean([Score(30.0, 0.8)]), Score)


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(ValueError, match="got none"):
        mean([])


@pytest.mark.parametrize("bad", [Score(math.nan, 0.5), Score(30.0, math.nan)])
def test_a_score_that_is_not_a_number_is_refused(bad: Score) -> None:
    with pytest.raises(ValueError, match="is NaN"):
        mean([Score(30.0, 0.8), bad])
