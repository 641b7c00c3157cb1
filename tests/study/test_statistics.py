"""The statistics of studies: on simulated studies with a known truth, against textbook special cases, and in words."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from upnet.study.statistics import Comparison, compare
from upnet.study.statistics.crossed import MeanSquares, half_width, mean_squares, p_value
from upnet.study.statistics.power import VarianceComponents, detectable_effect, seeds_needed, variance_components
from upnet.study.statistics.rank_tests import holm_correction
from upnet.study.statistics.verdicts import describe_comparison, findings, format_difference, limitations

SIZES = list(itertools.product((3, 5, 10), (5, 14, 100)))
SPLITS = {"seeds": (0.9, 0.05, 0.05), "pictures": (0.05, 0.9, 0.05), "rest": (0.05, 0.05, 0.9), "even": (1, 1, 1)}
IDENTICAL = {"seeds and rest": (0.4, 0.0, 0.6), "rest alone": (0.0, 0.0, 1.0)}


def simulated(studies: int, n: int, m: int, split: tuple[float, float, float], delta: float = 0.0) -> np.ndarray:
    """(studies, n, m) differences with a standard deviation of 0.07 dB, split over seeds, pictures and the rest."""
    rng = np.random.default_rng((n, m))
    seed, picture, rest = (0.07 * (share / sum(split)) ** 0.5 for share in split)
    effects = seed * rng.normal(size=(studies, n, 1)) + picture * rng.normal(size=(studies, 1, m))
    return delta + effects + rest * rng.normal(size=(studies, n, m))


def holding(differences: np.ndarray, delta: float) -> float:
    """The part of the studies whose 95 % interval holds delta."""
    table = mean_squares(differences)
    return float((np.abs(table.mean - delta) <= half_width(table, 0.05)).mean())


def scores(differences: np.ndarray, arm: str = "transposed", reference: str = "pixel_shuffle") -> dict:
    """Scores of two arms whose differences are these: (n, m)."""
    n, m = differences.shape
    base = 28 + np.arange(m) + 0.01 * np.arange(n)[:, None]
    return {
        name: {seed: {f"p{i}": float(v) for i, v in enumerate(row)} for seed, row in enumerate(table)}
        for name, table in ((arm, base + differences), (reference, base))
    }


def only(comparisons: list[Comparison]) -> Comparison:
    (found,) = comparisons
    return found


def student(values: np.ndarray) -> tuple[tuple[float, float], float]:
    """SciPy's 95 % interval of a mean by Student's t, and the p-value of 0."""
    found = stats.ttest_1samp(values, 0)
    low, high = found.confidence_interval(0.95)
    return (float(low), float(high)), float(np.asarray(found)[1])


@pytest.fixture
def tie() -> Comparison:
    return only(compare(scores(simulated(1, 5, 14, (1, 1, 1))[0]), "pixel_shuffle"))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_intervals_hold_the_true_difference_in_93_to_98_percent_of_studies(n: int, m: int, split: str) -> None:
    delta = 0.03
    assert 0.93 <= holding(simulated(4000, n, m, SPLITS[split], delta), delta) <= 0.98


@pytest.mark.parametrize("split", IDENTICAL)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_identical_arms_are_declared_different_in_at_most_6_percent_of_studies(n: int, m: int, split: str) -> None:
    assert 1 - holding(simulated(4000, n, m, IDENTICAL[split]), 0.0) <= 0.06


def test_with_heavy_tailed_pictures_the_interval_still_holds_the_truth() -> None:
    for n, m in SIZES:
        rng = np.random.default_rng((n, m))
        pictures = 0.05 * rng.standard_t(3, size=(2000, 1, m))
        differences = pictures + 0.03 * rng.normal(size=(2000, n, 1)) + 0.03 * rng.normal(size=(2000, n, m))
        assert 0.93 <= holding(differences, 0.0) <= 0.985, (n, m)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
def test_the_p_value_falls_below_alpha_exactly_where_the_interval_leaves_0_out(alpha: float) -> None:
    table = mean_squares(simulated(2000, 3, 5, (1, 1, 1), 0.08))
    assert np.array_equal(p_value(table) < alpha, np.abs(table.mean) > half_width(table, alpha))


def test_intervals_grow_with_their_level_for_all_mean_squares() -> None:
    rng = np.random.default_rng(0)
    for n, m in [(2, 2), (2, 100), (3, 5), (10, 14)]:
        seed, picture = np.exp(rng.normal(0, 2, size=(2, 500)))
        table = MeanSquares(np.zeros(500), seed, picture, np.ones(500), n, m)
        widths = np.array([half_width(table, alpha) for alpha in np.geomspace(1e-9, 1, 60)])
        assert (np.diff(widths, axis=0) < 0).all(), (n, m)


@pytest.mark.parametrize("axis", [0, 1])
def test_where_one_factor_alone_varies_the_interval_is_students(axis: int) -> None:
    effects = np.array([0.01, 0.05, -0.02, 0.08])
    table = np.broadcast_to(np.expand_dims(effects, 1 - axis), (4, 7) if axis == 0 else (7, 4))
    found = only(compare(scores(np.array(table)), "pixel_shuffle"))
    interval, p = student(effects)
    assert found.p_value == pytest.approx(p, rel=1e-6)
    assert found.interval == pytest.approx(interval, rel=1e-6)


def test_mean_squares_are_those_of_the_analysis_of_variance() -> None:
    table = simulated(1, 4, 6, (1, 2, 1))[0]
    found = mean_squares(table)
    whole, per_seed, per_picture = table.mean(), table.mean(axis=1), table.mean(axis=0)
    total = ((table - whole) ** 2).sum()
    seeds, pictures = 6 * ((per_seed - whole) ** 2).sum(), 4 * ((per_picture - whole) ** 2).sum()
    assert (found.seed, found.image) == pytest.approx((seeds / 3, pictures / 5))
    assert found.residual == pytest.approx((total - seeds - pictures) / 15)


def test_shares_are_those_that_the_differences_were_drawn_with() -> None:
    truth = (0.5, 0.3, 0.2)
    found = variance_components(mean_squares(simulated(1, 400, 500, truth)[0])).shares
    assert (found.seed, found.image, found.residual) == pytest.approx(truth, abs=0.04)
    assert found.seed + found.image + found.residual == pytest.approx(1)


def test_holm_steps_down_as_in_its_definition() -> None:
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_correction([0.6, 0.7]) == [1.0, 1.0]
    assert holm_correction([]) == []


def test_wilcoxon_is_scipys_on_the_means_over_seeds() -> None:
    differences = simulated(1, 3, 14, (1, 1, 1), 0.02)[0]
    found = only(compare(scores(differences), "pixel_shuffle"))
    assert found.wilcoxon_p == pytest.approx(np.asarray(stats.wilcoxon(differences.mean(axis=0)))[1])


def test_turning_a_comparison_round_turns_its_signs() -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1), 0.2)[0])
    there, back = only(compare(table, "pixel_shuffle")), only(compare(table, "transposed"))
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert back.difference == pytest.approx(-there.difference)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
    assert back.p_value == pytest.approx(there.p_value)


def test_the_interval_scales_with_the_differences() -> None:
    differences = simulated(1, 3, 14, (1, 1, 1), 0.05)[0]
    small, large = (only(compare(scores(differences * factor), "pixel_shuffle")) for factor in (1, 10))
    assert large.interval == pytest.approx([10 * bound for bound in small.interval])
    assert large.detectable == pytest.approx(10 * small.detectable)
    assert large.p_value == pytest.approx(small.p_value)


def test_an_interval_that_leaves_0_out_is_a_tie_where_holm_says_so() -> None:
    first = scores(simulated(1, 5, 14, (1, 1, 1), 0.1)[0], arm="first")
    alone = only(compare(first, "pixel_shuffle"))
    assert 0.005 < alone.p_value < 0.05
    assert alone.verdict == "better"
    same = {f"same {i}": first["pixel_shuffle"] for i in range(9)}
    among = compare({**first, **same}, "pixel_shuffle")[0]
    assert among.p_holm == pytest.approx(10 * alone.p_value)
    assert among.interval == alone.interval
    assert among.verdict == "tie"
    assert "correction for 10 comparisons" in str(among.remark)


def test_a_certain_but_small_difference_is_a_tie_within_the_margin() -> None:
    table = scores(0.001 * np.random.default_rng(0).normal(size=(5, 14)) + 0.01)
    assert only(compare(table, "pixel_shuffle")).verdict == "better"
    found = only(compare(table, "pixel_shuffle", tie_within=0.02))
    assert found.verdict == "tie"
    assert "equivalent within 0.02 dB" in describe_comparison(found)


def test_identical_scores_are_a_tie_without_any_variance() -> None:
    found = only(compare(scores(np.zeros((3, 5))), "pixel_shuffle"))
    assert (found.verdict, found.interval, found.p_value, found.wilcoxon_p) == ("tie", (0, 0), 1, 1)
    assert (found.detectable, found.seeds_needed) == (0, 2)


def test_a_difference_that_never_varies_is_certain() -> None:
    table = {"a": {s: {"p": 31.0, "q": 28.0} for s in (0, 1)}, "b": {s: {"p": 30.0, "q": 27.0} for s in (0, 1)}}
    found = only(compare(table, "b"))
    assert (found.verdict, found.interval, found.p_value) == ("better", (1, 1), 0)


def test_one_seed_decides_nothing_and_gives_the_interval_over_pictures() -> None:
    differences = simulated(1, 1, 14, (1, 1, 1), 0.1)[0]
    found = only(compare(scores(differences), "pixel_shuffle"))
    assert found.verdict == "not decided: one seed"
    assert found.interval == pytest.approx(student(differences[0])[0])
    assert found.seeds_needed is None
    assert math.isnan(found.detectable)
    assert "over seeds" in str(found.remark)


def test_an_arm_of_one_seed_costs_the_others_nothing() -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1), 0.1)[0])
    alone = only(compare(table, "pixel_shuffle"))
    beside, single = compare({**table, "single": {0: table["transposed"][0]}}, "pixel_shuffle")
    assert beside == alone
    assert single.p_holm == 1
    assert any("over all seeds and all images" in line and "one seed" in line for line in limitations([beside, single]))


def test_one_picture_decides_nothing_and_gives_the_interval_over_seeds() -> None:
    differences = simulated(1, 5, 1, (1, 1, 1), 0.1)[0]
    found = only(compare(scores(differences), "pixel_shuffle"))
    assert found.verdict == "not decided: one image"
    assert found.p_value == pytest.approx(student(differences[:, 0])[1])


def test_of_one_seed_and_one_picture_nothing_is_known() -> None:
    found = only(compare(scores(np.full((1, 1), 0.3)), "pixel_shuffle"))
    assert found.verdict == "not decided: one seed and one image"
    assert found.interval == (-math.inf, math.inf)
    assert found.p_value == 1


def test_a_lost_seed_is_left_out_of_both_arms_and_said() -> None:
    differences = simulated(1, 5, 14, (1, 1, 1))[0]
    table = scores(differences)
    del table["transposed"][3]
    found = only(compare(table, "pixel_shuffle"))
    assert found.seeds == 4
    assert found.difference == pytest.approx(np.delete(differences, 3, axis=0).mean())
    assert "seed 3, which only pixel_shuffle has" in str(found.remark)


def test_a_picture_with_an_infinite_psnr_is_left_out_of_all_arms_and_said() -> None:
    differences = simulated(1, 3, 14, (1, 1, 1))[0]
    table = scores(differences)
    table["transposed"][1]["p4"] = math.inf
    found = only(compare(table, "pixel_shuffle"))
    assert found.images == 13
    assert found.difference == pytest.approx(np.delete(differences, 4, axis=1).mean())
    assert "p4" in str(found.remark)


def test_the_order_of_pictures_and_seeds_does_not_matter(tie: Comparison) -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1))[0])
    turned = {
        arm: {seed: dict(reversed(row.items())) for seed, row in reversed(rows.items())} for arm, rows in table.items()
    }
    found = only(compare({**table, "transposed": turned["transposed"]}, "pixel_shuffle"))
    assert found.interval == pytest.approx(tie.interval)


def broken(place: str) -> tuple[dict, str]:
    table, reference = scores(np.zeros((2, 3))), "pixel_shuffle"
    if place == "nan":
        table["transposed"][1]["p2"] = math.nan
    elif place == "missing picture":
        del table["transposed"][1]["p2"]
    elif place == "no shared seed":
        table["transposed"] = {7: table["transposed"][0]}
    elif place == "no seed":
        table["transposed"] = {}
    elif place == "all infinite":
        table["transposed"][0] = dict.fromkeys(("p0", "p1", "p2"), math.inf)
    else:
        reference = "carafe"
    return table, reference


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nan", "arm transposed, seed 1 has a PSNR of nan on p2"),
        ("missing picture", "different images"),
        ("no shared seed", r"no common seed \(7 and 0, 1\)"),
        ("no seed", "arm transposed has no seeds"),
        ("all infinite", "no image has a finite PSNR"),
        ("reference", "study.reference=carafe: .*Allowed: transposed or pixel_shuffle"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_its_place(place: str, told: str) -> None:
    table, reference = broken(place)
    with pytest.raises(ValueError, match=told):
        compare(table, reference)


@pytest.mark.parametrize(("level", "tie_within"), [(95, None), (0.0, None), (0.95, -0.1), (0.95, math.nan)])
def test_settings_out_of_range_are_refused(level: float, tie_within: float | None) -> None:
    with pytest.raises(ValueError, match=r"level=|tie_within="):
        compare(scores(np.zeros((2, 2))), "pixel_shuffle", level, tie_within)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("n", "m"), [(3, 5), (3, 100), (5, 14), (10, 14)])
def test_the_detectable_difference_is_found_in_4_of_5_studies(n: int, m: int, split: str) -> None:
    parts = VarianceComponents(*(0.07**2 * share / sum(SPLITS[split]) for share in SPLITS[split]))
    delta = detectable_effect(parts, n, m)
    assert 0.74 <= 1 - holding(simulated(4000, n, m, SPLITS[split], delta), 0.0) <= 0.88


@pytest.mark.parametrize("parts", [(4e-4, 1e-4, 4e-4), (1e-3, 0, 0), (0, 0, 1e-3), (0, 4e-4, 1e-3)])
def test_the_seeds_needed_are_the_fewest_that_see_the_effect(parts: tuple[float, float, float]) -> None:
    needed = seeds_needed(VarianceComponents(*parts), 14)
    assert needed is not None
    assert detectable_effect(VarianceComponents(*parts), needed, 14) <= 0.02
    assert needed == 2 or detectable_effect(VarianceComponents(*parts), needed - 1, 14) > 0.02


def test_no_number_of_seeds_helps_where_pictures_dominate() -> None:
    parts = VarianceComponents(1e-4, 0.07**2, 1e-4)
    assert seeds_needed(parts, 5) is None
    assert detectable_effect(parts, 10**6, 5) > 0.02
    assert seeds_needed(parts, 400) is not None


def test_a_tie_is_called_a_tie_in_words(tie: Comparison) -> None:
    assert tie.verdict == "tie"
    assert (
        describe_comparison(tie)
        == f"transposed and pixel_shuffle do not differ significantly: {format_difference(tie)}"
    )
    assert any("does not show that two arms are equal" in line for line in limitations([tie]))


def test_figures_have_a_true_minus_and_the_digits_that_matter() -> None:
    found = only(compare(scores(simulated(1, 3, 14, (1, 1, 1), -0.5)[0]), "pixel_shuffle"))
    low, high = found.interval
    assert format_difference(found) == f"−{-found.difference:.2f} dB [−{-low:.2f}, −{-high:.2f}]"
    assert describe_comparison(found).startswith("transposed is worse than pixel_shuffle: ")


def test_findings_tell_every_arm_once_and_ties_after_what_was_found() -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1))[0], arm="tied")
    for arm, delta in (("worse one", -1.0), ("better one", 1.0)):
        table |= {arm: scores(simulated(1, 5, 14, (1, 2, 1), delta)[0], arm=arm)[arm]}
    told = findings(compare(table, "pixel_shuffle"))
    assert [line.split(" is ")[0].split(" and ")[0] for line in told] == ["better one", "worse one", "tied"]


def test_limits_name_the_arms_that_no_number_of_seeds_decides() -> None:
    rng = np.random.default_rng(0)
    found = compare(scores(0.2 * rng.normal(size=(1, 5)) + 0.01 * rng.normal(size=(5, 5))), "pixel_shuffle")
    assert any(
        "More seeds cannot resolve 0.02 dB for transposed: variance between images dominates" in line
        for line in limitations(found)
    )


def test_limits_say_that_one_seed_decides_nothing() -> None:
    found = compare(scores(simulated(1, 1, 14, (1, 1, 1))[0]), "pixel_shuffle")
    assert "not decided" in describe_comparison(found[0])
    assert any("between seeds cannot be estimated from one seed" in line for line in limitations(found))
