"""Candidate matches: descriptors in all orientations, and the position of a crop."""

import numpy as np
import pytest
import torch

from upnet.audit.candidates import FeatureIndex, oriented_products, split_frequencies
from upnet.audit.features import extract_features
from upnet.audit.image_ops import reorient_points


@pytest.mark.parametrize("orientation", range(8))
def test_descriptor_products_with_a_reoriented_image_peak_at_the_same_points(
    orientation: int, photographs: dict[str, np.ndarray]
) -> None:
    image = photographs["coffee"]
    reoriented = image.swapaxes(0, 1) if orientation & 4 else image
    reoriented = reoriented[::-1] if orientation & 2 else reoriented
    reoriented = reoriented[:, ::-1] if orientation & 1 else reoriented
    original, reoriented_features = extract_features(image), extract_features(np.ascontiguousarray(reoriented))
    products = dict(oriented_products(original.descriptors, split_frequencies(reoriented_features.descriptors)))
    assert sorted(products) == list(range(8))
    x, y, size = reorient_points(original.keypoints[:, 0], original.keypoints[:, 1], original.size, orientation)
    assert size == reoriented_features.size
    match_rates = {}
    for candidate, product in products.items():
        best = product.argmax(dim=1)
        distance = (
            torch.hypot(x - reoriented_features.keypoints[best, 0], y - reoriented_features.keypoints[best, 1])
            / original.keypoints[:, 2]
        )
        match_rates[candidate] = float((distance < 0.3).float().mean())
    # Weak keypoints depend on the rounding in a reoriented thumbnail.
    assert match_rates.pop(orientation) > 0.8
    assert max(match_rates.values()) < 0.4


def test_the_first_candidate_of_a_crop_is_its_photograph(photographs: dict[str, np.ndarray]) -> None:
    names = ["astronaut", "chelsea", "coffee", "coins"]
    index = FeatureIndex([extract_features(photographs[name]) for name in names])
    for number, name in enumerate(names):
        first = index.candidates(extract_features(np.ascontiguousarray(photographs[name][30:200, 20:220])))[0]
        assert (first.target, first.orientation) == (number, 0)
        height, width = photographs[name].shape[:2]
        assert first.box == pytest.approx((20 / width, 30 / height, 220 / width, 200 / height), abs=0.03)
