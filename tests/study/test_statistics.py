"""Statistics of studies: simulations with a known truth, special cases from textbooks, and sentences of a report."""

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
SPLITS = {"seeds": (0.9, 0.05, 0.05), "images": (0.05, 0.9, 0.05), "rest": (0.05, 0.05, 0.9), "even": (1, 1, 1)}
IDENTICAL = {"seeds and rest": (0.4, 0.0, 0.6), "rest alone": (0.0, 0.0, 1.0)}


def simulated(studies: int, n: int, m: int, split: tuple[float, float, float], delta: float = 0.0) -> np.ndarray:
    """(studies, n, m) differences with a standard deviation of 0.07 dB, split over seeds, images and the residual."""
    rng = np.random.default_rng((n, m))
    seed, image, residual = (0.07 * (share / sum(split)) ** 0.5 for share in split)
    effects = seed * rng.normal(size=(studies, n, 1)) + image * rng.normal(size=(studies, 1, m))
    return delta + effects + residual * rng.normal(size=(studies, n, m))


def coverage(differences: np.ndarray, delta: float) -> float:
    """The share of the studies whose 95 % interval contains delta."""
    table = mean_squares(differences)
    return float((np.abs(table.mean - delta) <= half_width(table, 0.05)).mean())


def scores(differences: np.ndarray, arm: str = "transposed", reference: str = "pixel_shuffle") -> dict:
    """Scores of two arms with the given differences (n, m)."""
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
def test_intervals_contain_the_true_difference_in_93_to_98_percent_of_studies(n: int, m: int, split: str) -> None:
    delta = 0.03
    assert 0.93 <= coverage(simulated(4000, n, m, SPLITS[split], delta), delta) <= 0.98


@pytest.mark.parametrize("split", IDENTICAL)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_identical_arms_are_declared_different_in_at_most_6_percent_of_studies(n: int, m: int, split: str) -> None:
    assert 1 - coverage(simulated(4000, n, m, IDENTICAL[split]), 0.0) <= 0.06


def test_interval_contains_the_true_difference_with_heavy_tailed_image_effects() -> None:
    for n, m in SIZES:
        rng = np.random.default_rng((n, m))
        image_effects = 0.05 * rng.standard_t(3, size=(2000, 1, m))
        differences = image_effects + 0.03 * rng.normal(size=(2000, n, 1)) + 0.03 * rng.normal(size=(2000, n, m))
        assert 0.93 <= coverage(differences, 0.0) <= 0.985, (n, m)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
def test_p_value_is_below_alpha_exactly_where_the_interval_excludes_0(alpha: float) -> None:
    table = mean_squares(simulated(2000, 3, 5, (1, 1, 1), 0.08))
    assert np.array_equal(p_value(table) < alpha, np.abs(table.mean) > half_width(table, alpha))


def test_intervals_widen_with_the_confidence_level_for_all_mean_squares() -> None:
    rng = np.random.default_rng(0)
    for n, m in [(2, 2), (2, 100), (3, 5), (10, 14)]:
        seed, image = np.exp(rng.normal(0, 2, size=(2, 500)))
        table = MeanSquares(np.zeros(500), seed, image, np.ones(500), n, m)
        widths = np.array([half_width(table, alpha) for alpha in np.geomspace(1e-9, 1, 60)])
        assert (np.diff(widths, axis=0) < 0).all(), (n, m)


@pytest.mark.parametrize("axis", [0, 1])
def test_interval_equals_students_t_where_only_one_factor_varies(axis: int) -> None:
    effects = np.array([0.01, 0.05, -0.02, 0.08])
    table = np.broadcast_to(np.expand_dims(effects, 1 - axis), (4, 7) if axis == 0 else (7, 4))
    found = only(compare(scores(np.array(table)), "pixel_shuffle"))
    interval, p = student(effects)
    assert found.p_value == pytest.approx(p, rel=1e-6)
    assert found.interval == pytest.approx(interval, rel=1e-6)


def test_mean_squares_equal_those_of_the_analysis_of_variance() -> None:
    table = simulated(1, 4, 6, (1, 2, 1))[0]
    found = mean_squares(table)
    mean, per_seed, per_image = table.mean(), table.mean(axis=1), table.mean(axis=0)
    total = ((table - mean) ** 2).sum()
    seeds, images = 6 * ((per_seed - mean) ** 2).sum(), 4 * ((per_image - mean) ** 2).sum()
    assert (found.seed, found.image) == pytest.approx((seeds / 3, images / 5))
    assert found.residual == pytest.approx((total - seeds - images) / 15)


def test_variance_shares_equal_those_of_the_simulation() -> None:
    truth = (0.5, 0.3, 0.2)
    found = variance_components(mean_squares(simulated(1, 400, 500, truth)[0])).shares
    assert (found.seed, found.image, found.residual) == pytest.approx(truth, abs=0.04)
    assert found.seed + found.image + found.residual == pytest.approx(1)


def test_holm_correction_follows_its_definition() -> None:
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_correction([0.6, 0.7]) == [1.0, 1.0]
    assert holm_correction([]) == []


def test_wilcoxon_p_equals_scipy_on_the_means_over_seeds() -> None:
    differences = simulated(1, 3, 14, (1, 1, 1), 0.02)[0]
    found = only(compare(scores(differences), "pixel_shuffle"))
    assert found.wilcoxon_p == pytest.approx(np.asarray(stats.wilcoxon(differences.mean(axis=0)))[1])


def test_swapping_arm_and_reference_changes_the_signs() -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1), 0.2)[0])
    forward, backward = only(compare(table, "pixel_shuffle")), only(compare(table, "transposed"))
    assert (forward.verdict, backward.verdict) == ("better", "worse")
    assert backward.difference == pytest.approx(-forward.difference)
    assert backward.interval == pytest.approx((-forward.interval[1], -forward.interval[0]))
    assert backward.p_value == pytest.approx(forward.p_value)


def test_interval_scales_with_the_differences() -> None:
    differences = simulated(1, 3, 14, (1, 1, 1), 0.05)[0]
    small, large = (only(compare(scores(differences * factor), "pixel_shuffle")) for factor in (1, 10))
    assert large.interval == pytest.approx([10 * bound for bound in small.interval])
    assert large.detectable == pytest.approx(10 * small.detectable)
    assert large.p_value == pytest.approx(small.p_value)


def test_interval_that_excludes_0_is_a_tie_if_the_holm_correction_makes_it_insignificant() -> None:
    first = scores(simulated(1, 5, 14, (1, 1, 1), 0.1)[0], arm="first")
    alone = only(compare(first, "pixel_shuffle"))
    assert 0.005 < alone.p_value < 0.05
    assert alone.verdict == "better"
    same = {f"same {i}": first["pixel_shuffle"] for i in range(9)}
    corrected = compare({**first, **same}, "pixel_shuffle")[0]
    assert corrected.p_holm == pytest.approx(10 * alone.p_value)
    assert corrected.interval == alone.interval
    assert corrected.verdict == "tie"
    assert "correction for 10 comparisons" in str(corrected.remark)


def test_significant_difference_within_the_margin_is_a_tie() -> None:
    table = scores(0.001 * np.random.default_rng(0).normal(size=(5, 14)) + 0.01)
    assert only(compare(table, "pixel_shuffle")).verdict == "better"
    found = only(compare(table, "pixel_shuffle", tie_within=0.02))
    assert found.verdict == "tie"
    assert "equivalent within 0.02 dB" in describe_comparison(found)


def test_identical_scores_are_a_tie_without_variance() -> None:
    found = only(compare(scores(np.zeros((3, 5))), "pixel_shuffle"))
    assert (found.verdict, found.interval, found.p_value, found.wilcoxon_p) == ("tie", (0, 0), 1, 1)
    assert (found.detectable, found.seeds_needed) == (0, 2)


def test_constant_difference_has_a_p_value_of_0() -> None:
    table = {"a": {s: {"p": 31.0, "q": 28.0} for s in (0, 1)}, "b": {s: {"p": 30.0, "q": 27.0} for s in (0, 1)}}
    found = only(compare(table, "b"))
    assert (found.verdict, found.interval, found.p_value) == ("better", (1, 1), 0)


def test_one_seed_gives_no_verdict_and_the_interval_over_images() -> None:
    differences = simulated(1, 1, 14, (1, 1, 1), 0.1)[0]
    found = only(compare(scores(differences), "pixel_shuffle"))
    assert found.verdict == "not decided: one seed"
    assert found.interval == pytest.approx(student(differences[0])[0])
    assert found.seeds_needed is None
    assert math.isnan(found.detectable)
    assert "over seeds" in str(found.remark)


def test_arm_with_one_seed_does_not_affect_the_other_arms() -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1), 0.1)[0])
    alone = only(compare(table, "pixel_shuffle"))
    both, single = compare({**table, "single": {0: table["transposed"][0]}}, "pixel_shuffle")
    assert both == alone
    assert single.p_holm == 1
    assert any("over all seeds and all images" in line and "one seed" in line for line in limitations([both, single]))


def test_one_image_gives_no_verdict_and_the_interval_over_seeds() -> None:
    differences = simulated(1, 5, 1, (1, 1, 1), 0.1)[0]
    found = only(compare(scores(differences), "pixel_shuffle"))
    assert found.verdict == "not decided: one image"
    assert found.p_value == pytest.approx(student(differences[:, 0])[1])


def test_one_seed_and_one_image_give_an_infinite_interval() -> None:
    found = only(compare(scores(np.full((1, 1), 0.3)), "pixel_shuffle"))
    assert found.verdict == "not decided: one seed and one image"
    assert found.interval == (-math.inf, math.inf)
    assert found.p_value == 1


def test_seed_missing_in_one_arm_is_excluded_from_both_and_reported() -> None:
    differences = simulated(1, 5, 14, (1, 1, 1))[0]
    table = scores(differences)
    del table["transposed"][3]
    found = only(compare(table, "pixel_shuffle"))
    assert found.seeds == 4
    assert found.difference == pytest.approx(np.delete(differences, 3, axis=0).mean())
    assert "seed 3, which only pixel_shuffle has" in str(found.remark)


def test_image_with_an_infinite_psnr_is_excluded_from_all_arms_and_reported() -> None:
    differences = simulated(1, 3, 14, (1, 1, 1))[0]
    table = scores(differences)
    table["transposed"][1]["p4"] = math.inf
    found = only(compare(table, "pixel_shuffle"))
    assert found.images == 13
    assert found.difference == pytest.approx(np.delete(differences, 4, axis=1).mean())
    assert "p4" in str(found.remark)


def test_order_of_images_and_seeds_does_not_matter(tie: Comparison) -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1))[0])
    reordered = {
        arm: {seed: dict(reversed(row.items())) for seed, row in reversed(rows.items())} for arm, rows in table.items()
    }
    found = only(compare({**table, "transposed": reordered["transposed"]}, "pixel_shuffle"))
    assert found.interval == pytest.approx(tie.interval)


def invalid_scores(case: str) -> tuple[dict, str]:
    table, reference = scores(np.zeros((2, 3))), "pixel_shuffle"
    if case == "nan":
        table["transposed"][1]["p2"] = math.nan
    elif case == "missing image":
        del table["transposed"][1]["p2"]
    elif case == "no shared seed":
        table["transposed"] = {7: table["transposed"][0]}
    elif case == "no seed":
        table["transposed"] = {}
    elif case == "all infinite":
        table["transposed"][0] = dict.fromkeys(("p0", "p1", "p2"), math.inf)
    else:
        reference = "carafe"
    return table, reference


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nan", "arm transposed, seed 1 has a PSNR of nan on p2"),
        ("missing image", "different images"),
        ("no shared seed", r"no common seed \(7 and 0, 1\)"),
        ("no seed", "arm transposed has no seeds"),
        ("all infinite", "no image has a finite PSNR"),
        ("reference", "study.reference=carafe: .*Allowed: transposed or pixel_shuffle"),
    ],
)
def test_scores_that_cannot_be_compared_are_rejected_with_arm_and_seed(case: str, message: str) -> None:
    table, reference = invalid_scores(case)
    with pytest.raises(ValueError, match=message):
        compare(table, reference)


@pytest.mark.parametrize(("level", "tie_within"), [(95, None), (0.0, None), (0.95, -0.1), (0.95, math.nan)])
def test_settings_out_of_range_are_rejected(level: float, tie_within: float | None) -> None:
    with pytest.raises(ValueError, match=r"level=|tie_within="):
        compare(scores(np.zeros((2, 2))), "pixel_shuffle", level, tie_within)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("n", "m"), [(3, 5), (3, 100), (5, 14), (10, 14)])
def test_detectable_difference_is_significant_in_80_percent_of_studies(n: int, m: int, split: str) -> None:
    components = VarianceComponents(*(0.07**2 * share / sum(SPLITS[split]) for share in SPLITS[split]))
    delta = detectable_effect(components, n, m)
    assert 0.74 <= 1 - coverage(simulated(4000, n, m, SPLITS[split], delta), 0.0) <= 0.88


@pytest.mark.parametrize("components", [(4e-4, 1e-4, 4e-4), (1e-3, 0, 0), (0, 0, 1e-3), (0, 4e-4, 1e-3)])
def test_seeds_needed_is_the_smallest_number_that_detects_the_effect(components: tuple[float, float, float]) -> None:
    needed = seeds_needed(VarianceComponents(*components), 14)
    assert needed is not None
    assert detectable_effect(VarianceComponents(*components), needed, 14) <= 0.02
    assert needed == 2 or detectable_effect(VarianceComponents(*components), needed - 1, 14) > 0.02


def test_seeds_needed_is_none_where_variance_between_images_dominates() -> None:
    components = VarianceComponents(1e-4, 0.07**2, 1e-4)
    assert seeds_needed(components, 5) is None
    assert detectable_effect(components, 10**6, 5) > 0.02
    assert seeds_needed(components, 400) is not None


def test_tie_is_described_as_no_significant_difference(tie: Comparison) -> None:
    assert tie.verdict == "tie"
    assert (
        describe_comparison(tie)
        == f"transposed and pixel_shuffle do not differ significantly: {format_difference(tie)}"
    )
    assert any("does not show that two arms are equal" in line for line in limitations([tie]))


def test_differences_are_formatted_with_a_minus_sign_and_two_decimals() -> None:
    found = only(compare(scores(simulated(1, 3, 14, (1, 1, 1), -0.5)[0]), "pixel_shuffle"))
    low, high = found.interval
    assert format_difference(found) == f"−{-found.difference:.2f} dB [−{-low:.2f}, −{-high:.2f}]"
    assert describe_comparison(found).startswith("transposed is worse than pixel_shuffle: ")


def test_findings_list_every_arm_once_and_ties_last() -> None:
    table = scores(simulated(1, 5, 14, (1, 1, 1))[0], arm="tied")
    for arm, delta in (("worse one", -1.0), ("better one", 1.0)):
        table |= {arm: scores(simulated(1, 5, 14, (1, 2, 1), delta)[0], arm=arm)[arm]}
    sentences = findings(compare(table, "pixel_shuffle"))
    assert [line.split(" is ")[0].split(" and ")[0] for line in sentences] == ["better one", "worse one", "tied"]


def test_limitations_name_arms_that_more_seeds_cannot_resolve() -> None:
    rng = np.random.default_rng(0)
    found = compare(scores(0.2 * rng.normal(size=(1, 5)) + 0.01 * rng.normal(size=(5, 5))), "pixel_shuffle")
    assert any(
        "More seeds cannot resolve 0.02 dB for transposed: variance between images dominates" in line
        for line in limitations(found)
    )


def test_limitations_state_that_one_seed_gives_no_verdict() -> None:
    found = compare(scores(simulated(1, 1, 14, (1, 1, 1))[0]), "pixel_shuffle")
    assert "not decided" in describe_comparison(found[0])
    assert any("between seeds cannot be estimated from one seed" in line for line in limitations(found))
