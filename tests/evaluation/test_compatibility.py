"""Which results can share a table, and how their protocols are labelled."""

import copy
from typing import Any

import pytest

from upnet.evaluation.compatibility import footnote, protocol_groups, protocol_label
from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.results import results_content
from upnet.metrics import EvaluationProtocol, Score


def content(
    protocol: EvaluationProtocol | None = None,
    scale: int = 2,
    ensemble: str = "none",
    image_hash: str = "p" * 64,
    datasets: tuple[str, ...] = ("Set5",),
    **extra: Any,
) -> dict[str, Any]:
    tallies = []
    for name in datasets:
        tally = DatasetScores(name, image_hash, "imresize")
        tally.add("baby", Score(38.0, 0.97), Score(37.0, 0.96))
        tallies.append(tally)
    extra = {"device": "cpu", "versions": {"upnet": "0.1", "torch": "2.9"}, **extra}
    return results_content(tallies, (protocol or EvaluationProtocol()).describe(scale, ensemble), extra)


def test_results_of_equal_protocol_and_images_form_one_group() -> None:
    assert protocol_groups(["a", "b"], [content(), content(device="other", versions={})], False) == {"Set5": [0, 0]}


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (content(EvaluationProtocol("y-float")), "name: rgb8 and y-float"),
        (content(EvaluationProtocol(channel="rgb")), "channel: y and rgb"),
        (content(EvaluationProtocol(crop=0)), "crop: 2 and 0"),
        (content(EvaluationProtocol(grey="full")), "grey: studio and full"),
        (content(ensemble="x8"), "ensemble: none and x8"),
        (content(scale=3), "scale: 2 and 3"),
        (content(image_hash="q" * 64), "different pixels in Set5"),
        (content(datasets=("Set14",)), "b has no Set5"),
        (content(datasets=("Set5", "Set14")), "a has no Set14"),
    ],
)
def test_incompatible_results_are_rejected_with_the_difference_unless_mixed_is_allowed(
    other: dict[str, Any], difference: str
) -> None:
    with pytest.raises(ValueError, match=rf"a and b differ in protocol or images.*{difference}.*add allow_mixed=true"):
        protocol_groups(["a", "b"], [content(), other], False)
    grouped = protocol_groups(["a", "b", "c"], [content(), other, copy.deepcopy(content())], True)
    assert all(groups[0] == groups[2] for groups in grouped.values())
    assert any(groups[1] != groups[0] for groups in grouped.values())


def test_metric_weights_are_compared_only_where_both_have_the_metric() -> None:
    first, second = content(measures={"lpips": {"weights": "1"}}), content(measures={"lpips": {"weights": "2"}})
    assert protocol_groups(["a", "b"], [first, content()], False) == {"Set5": [0, 0]}
    with pytest.raises(ValueError, match="different weights or version of lpips"):
        protocol_groups(["a", "b"], [first, second], False)


def test_label_names_settings_that_differ_from_the_default() -> None:
    assert protocol_label(content()) == "×2, rgb8, channel y, crop 2"
    label = protocol_label(content(EvaluationProtocol("y-float", grey="full"), 3, "x8"))
    assert label == "×3, y-float, channel y, crop 3, grey full, ensemble x8"


def test_footnote_states_resizing_precision_image_hash_and_versions() -> None:
    note = footnote(content(tile=64, measures={"lpips": {"weights": "alexnet"}}), "Set5")
    for part in (
        "imresize", "symmetric", "float64 metrics", "image hash pppppppppppp", "upnet 0.1", "torch 2.9", "on cpu",
        "tile 64", "lpips alexnet", "BT.601",
    ):  # fmt: skip
        assert part in note, part
