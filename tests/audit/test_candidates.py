"""Candidate matches: descriptors in all orientations, and the position of a crop."""

import numpy as np
import pytest
import torch

from upnet.audit.candidates import FeatureIndex, oriented_products, split_frequencies
from upnet.audit.features import extract_features
from upnet.audit.image_ops import reorient_points


@pytest.mark.parametrize("turn", range(8))
def test_descriptor_products_with_a_reoriented_image_peak_at_the_same_points(
    turn: int, photographs: dict[str, np.ndarray]
) -> None:
    picture = photographs["coffee"]
    after = picture.swapaxes(0, 1) if turn & 4 else picture
    after = after[::-1] if turn & 2 else after
    after = after[:, ::-1] if turn & 1 else after
    ours, theirs = extract_features(picture), extract_features(np.ascontiguousarray(after))
    products = dict(oriented_products(ours.descriptors, split_frequencies(theirs.descriptors)))
    assert sorted(products) == list(range(8))
    x, y, size = reorient_points(ours.keypoints[:, 0], ours.keypoints[:, 1], ours.size, turn)
    assert size == theirs.size
    share = {}
    for way, product in products.items():
        best = product.argmax(dim=1)
        off = torch.hypot(x - theirs.keypoints[best, 0], y - theirs.keypoints[best, 1]) / ours.keypoints[:, 2]
        share[way] = float((off < 0.3).float().mean())
    # Faint points come and go with the rounding of a turned thumbnail.
    assert share.pop(turn) > 0.8
    assert max(share.values()) < 0.4


def test_the_first_candidate_of_a_crop_is_its_photograph(photographs: dict[str, np.ndarray]) -> None:
    names = ["astronaut", "chelsea", "coffee", "coins"]
    index = FeatureIndex([extract_features(photographs[name]) for name in names])
    for number, name in enumerate(names):
        first = index.candidates(extract_features(np.ascontiguousarray(photographs[name][30:200, 20:220])))[0]
        assert (first.target, first.orientation) == (number, 0)
        height, width = photographs[name].shape[:2]
        assert first.box == pytest.approx((20 / width, 30 / height, 220 / width, 200 / height), abs=0.03)
