"""The products of turned patches, taken the quick way, are those of the patches of the turned picture."""

import numpy as np
import pytest
import torch

from upnet.audit.candidates import Album, _parts, _turned_products
from upnet.audit.features import describe
from upnet.audit.image_ops import turned_points


@pytest.mark.parametrize("turn", range(8))
def test_products_with_a_turned_picture_are_highest_at_the_same_points(
    turn: int, photographs: dict[str, np.ndarray]
) -> None:
    picture = photographs["coffee"]
    after = picture.swapaxes(0, 1) if turn & 4 else picture
    after = after[::-1] if turn & 2 else after
    after = after[:, ::-1] if turn & 1 else after
    ours, theirs = describe(picture), describe(np.ascontiguousarray(after))
    products = dict(_turned_products(ours.patches, _parts(theirs.patches)))
    assert sorted(products) == list(range(8))
    x, y, size = turned_points(ours.points[:, 0], ours.points[:, 1], ours.size, turn)
    assert size == theirs.size
    share = {}
    for way, product in products.items():
        best = product.argmax(dim=1)
        off = torch.hypot(x - theirs.points[best, 0], y - theirs.points[best, 1]) / ours.points[:, 2]
        share[way] = float((off < 0.3).float().mean())
    # Faint points come and go with the rounding of a turned thumbnail.
    assert share.pop(turn) > 0.8
    assert max(share.values()) < 0.4


def test_the_likeliest_candidate_of_a_part_is_its_photograph(photographs: dict[str, np.ndarray]) -> None:
    names = ["astronaut", "chelsea", "coffee", "coins"]
    album = Album([describe(photographs[name]) for name in names])
    for number, name in enumerate(names):
        first = album.candidates(describe(np.ascontiguousarray(photographs[name][30:200, 20:220])))[0]
        assert (first.number, first.turn) == (number, 0)
        height, width = photographs[name].shape[:2]
        assert first.box == pytest.approx((20 / width, 30 / height, 220 / width, 200 / height), abs=0.03)
