"""Dead leaves: reproducible, painted front to back, by the law that was asked for."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upnet.data import DeadLeaves, build_store
from upnet.data.sources.leaf_geometry import SHAPES, LeafDistribution, Leaves, cover_canvas
from upnet.data.sources.textures import noise_field


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def test_a_picture_depends_on_its_seed_and_number_alone(tmp_path: Path) -> None:
    many, few = (
        build_store(DeadLeaves(count, size=48, seed=3), 2, tmp_path / str(count), workers=count) for count in (4, 2)
    )
    assert many.digests[:2] == few.digests
    assert len(set(many.digests)) == 4
    assert not np.array_equal(DeadLeaves(1, size=48, seed=4).generate(0), many.hr(0))


def test_a_picture_takes_its_size_and_uses_the_whole_range() -> None:
    image = DeadLeaves(1, size=80).generate(0)
    assert image.shape == (80, 80, 3)
    assert image.dtype == np.uint8
    assert image.min() < 40
    assert image.max() > 215


def test_other_parameters_make_another_store(tmp_path: Path) -> None:
    sources = [DeadLeaves(1, size=32), DeadLeaves(1, size=32, texture=0.1), DeadLeaves(1, size=32, shapes=["disc"])]
    assert len({build_store(source, 2, tmp_path).folder for source in sources}) == 3


def _membership(leaves: Leaves, k: int, n: int) -> np.ndarray:
    """Which pixel centres lie in leaf k, a disc or a rectangle, by the definition: (n, n) bool."""
    y, x = np.mgrid[:n, :n] + 0.5
    dx, dy, radius = x - leaves.x[k], y - leaves.y[k], leaves.radius[k]
    if leaves.shape[k] == SHAPES["disc"]:
        return np.hypot(dx, dy) <= radius
    along = math.cos(leaves.angle[k]) * dx + math.sin(leaves.angle[k]) * dy
    across = -math.sin(leaves.angle[k]) * dx + math.cos(leaves.angle[k]) * dy
    length = radius * math.cos(math.atan(leaves.aspect[k]))
    if leaves.shape[k] == SHAPES["rectangle"]:
        return (np.abs(along) <= length) & (np.abs(across) <= length * leaves.aspect[k])
    return np.hypot(along, across / leaves.aspect[k]) <= radius


@pytest.mark.parametrize("shape", ["disc", "rectangle", "ellipse"])
def test_every_pixel_shows_the_first_leaf_that_covers_it(shape: str) -> None:
    n = 40
    front, leaves = cover_canvas(_rng(), n, LeafDistribution(3.0, 30.0, 3.0, [SHAPES[shape]], 0.2))
    slow = np.full((n, n), -1)
    for k in range(len(leaves)):
        slow[(slow < 0) & _membership(leaves, k, n)] = k
        if (slow >= 0).all():
            break
    # float32 against float64: a pixel centre may fall on a rim.
    assert (front != slow).mean() < 0.002


def test_no_pixel_stays_free_and_every_number_is_a_leaf() -> None:
    front, leaves = cover_canvas(_rng(1), 64, LeafDistribution(2.0, 50.0, 3.0, list(SHAPES.values()), 0.1))
    assert front.min() >= 0
    assert front.max() < len(leaves)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_radii_follow_the_power_law_where_edges_play_no_part(exponent: float) -> None:
    law = LeafDistribution(1.0, 20.0, exponent, [SHAPES["disc"]], 1.0)
    # On a canvas much larger than the largest leaf hardly any leaf is thinned out.
    radii = np.sort(np.concatenate([law.draw(_rng(seed), 10**7).radius for seed in range(3)]))
    if exponent == 1:
        expected = np.log(radii) / math.log(20)
    else:
        expected = (1 - radii ** (1 - exponent)) / (1 - 20 ** (1 - exponent))
    empirical = (np.arange(len(radii)) + 0.5) / len(radii)
    assert np.abs(empirical - expected).max() < 1.95 / math.sqrt(len(radii))  # Kolmogorov, one in a thousand


def test_leaves_are_as_dense_at_the_edge_as_in_the_middle() -> None:
    law, n = LeafDistribution(4.0, 32.0, 3.0, [SHAPES["disc"]], 1.0), 64
    covered = np.zeros((n, n))
    for seed in range(12):
        leaves = law.draw(_rng(seed), n)
        for k in range(0, len(leaves), 8):
            covered += _membership(leaves, k, n)
    edge, middle = covered[:4].mean(), covered[28:36, 28:36].mean()
    assert edge == pytest.approx(middle, rel=0.06)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5])
def test_textures_have_the_spectrum_they_are_named_after(gamma: float) -> None:
    n = 128
    power = np.mean([np.abs(np.fft.fft2(noise_field(_rng(seed), n, gamma))) ** 2 for seed in range(8)], axis=0)
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :])
    band = (frequency > 0.02) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-2 * gamma, abs=0.05)


def test_without_saturation_pictures_are_grey() -> None:
    image = DeadLeaves(1, size=48, saturation=0.0).generate(0).astype(int)
    assert np.ptp(image, axis=-1).max() <= 1


def test_plain_leaves_are_of_one_colour_each() -> None:
    plain = {"gradient": 0.0, "stripes": 0.0, "texture": 0.0, "blur": 0.0, "oversampling": 1}
    source = DeadLeaves(1, size=48, radius=[6.0, 30.0], **plain)
    front, _ = cover_canvas(np.random.Generator(np.random.Philox(key=0, counter=0)), 48, source.distribution)
    image = source.generate(0)
    for leaf in np.unique(front):
        assert len(np.unique(image[front == leaf], axis=0)) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shapes": ["star"]}, r"shapes=\['star'\]: unknown shape. Allowed: a list of disc, ellipse"),
        ({"shapes": []}, r"shapes=\[\]: no shape. Allowed: a list of disc"),
        ({"radius": [5.0, 5.0]}, r"radius=\[5.0, 5.0\].*0 < smallest < largest"),
        ({"radius": [0.0, 5.0]}, "0 < smallest < largest"),
        ({"radius": [5.0]}, "0 < smallest < largest"),
        ({"gamma": [1.0, 0.5]}, "0 <= smallest <= largest"),
        ({"count": 0}, "count=0: too small. Allowed: 1 or larger"),
        ({"size": 8}, "size=8: too small. Allowed: 16 or larger"),
        ({"oversampling": 0}, "oversampling=0: too small. Allowed: 1 or larger"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DeadLeaves(**wrong)
