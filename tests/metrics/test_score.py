import math

import pytest

from upnet.metrics import Mean, Score, mean


def test_the_mean_is_over_the_pictures_decibels() -> None:
    assert mean([Score(30.0, 0.5), Score(40.0, 0.75)]) == Mean(35.0, 0.625, 2, 0)
    assert mean([Score(30.0, 0.8)]).remark is None


def test_an_identical_picture_is_left_out_of_both_means_with_a_remark() -> None:
    result = mean([Score(30.0, 0.8), Score(math.inf, 1.0), Score(40.0, 0.9)])
    assert (result.psnr, result.ssim) == (35.0, pytest.approx(0.85))
    assert (result.pictures, result.identical) == (2, 1)
    assert result.remark == "1 of 3 pictures is identical to the target and has infinite PSNR: left out of the means."


def test_where_all_pictures_are_identical_the_mean_is_infinite_and_says_so() -> None:
    result = mean([Score(math.inf, 1.0)] * 2)
    assert (result.psnr, result.ssim, result.pictures, result.identical) == (math.inf, 1.0, 0, 2)
    assert result.remark is not None
    assert "All pictures (2)" in result.remark


def test_a_mean_is_a_score() -> None:
    assert isinstance(mean([Score(30.0, 0.8)]), Score)


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(ValueError, match="got none"):
        mean([])


@pytest.mark.parametrize("bad", [Score(math.nan, 0.5), Score(30.0, math.nan)])
def test_a_score_that_is_not_a_number_is_refused(bad: Score) -> None:
    with pytest.raises(ValueError, match="not a number"):
        mean([Score(30.0, 0.8), bad])
