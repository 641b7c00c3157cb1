"""Dead leaves: images are reproducible, painted front to back, and follow the requested distribution."""

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


def test_an_image_depends_only_on_its_seed_and_index(tmp_path: Path) -> None:
    four_images, two_images = (
        build_store(DeadLeaves(count, size=48, seed=3), 2, tmp_path / str(count), workers=count) for count in (4, 2)
    )
    assert four_images.digests[:2] == two_images.digests
    assert len(set(four_images.digests)) == 4
    assert not np.array_equal(DeadLeaves(1, size=48, seed=4).generate(0), four_images.hr(0))


def test_an_image_has_the_requested_size_and_a_wide_value_range() -> None:
    image = DeadLeaves(1, size=80).generate(0)
    assert image.shape == (80, 80, 3)
    assert image.dtype == np.uint8
    assert image.min() < 40
    assert image.max() > 215


def test_different_parameters_make_different_stores(tmp_path: Path) -> None:
    sources = [DeadLeaves(1, size=32), DeadLeaves(1, size=32, texture=0.1), DeadLeaves(1, size=32, shapes=["disc"])]
    assert len({build_store(source, 2, tmp_path).folder for source in sources}) == 3


def _covered_by_leaf(leaves: Leaves, k: int, n: int) -> np.ndarray:
    """The pixel centres inside leaf k by the definition of its shape: (n, n) bool."""
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
def test_each_pixel_shows_the_first_leaf_that_covers_it(shape: str) -> None:
    n = 40
    front, leaves = cover_canvas(_rng(), n, LeafDistribution(3.0, 30.0, 3.0, [SHAPES[shape]], 0.2))
    reference = np.full((n, n), -1)
    for k in range(len(leaves)):
        reference[(reference < 0) & _covered_by_leaf(leaves, k, n)] = k
        if (reference >= 0).all():
            break
    # Float32 and float64 may differ where a pixel centre lies on an outline.
    assert (front != reference).mean() < 0.002


def test_each_pixel_is_covered_by_an_existing_leaf() -> None:
    front, leaves = cover_canvas(_rng(1), 64, LeafDistribution(2.0, 50.0, 3.0, list(SHAPES.values()), 0.1))
    assert front.min() >= 0
    assert front.max() < len(leaves)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_radii_follow_the_power_law_away_from_the_borders(exponent: float) -> None:
    distribution = LeafDistribution(1.0, 20.0, exponent, [SHAPES["disc"]], 1.0)
    # On a canvas much larger than the largest leaf almost no leaf is removed.
    radii = np.sort(np.concatenate([distribution.draw(_rng(seed), 10**7).radius for seed in range(3)]))
    if exponent == 1:
        expected = np.log(radii) / math.log(20)
    else:
        expected = (1 - radii ** (1 - exponent)) / (1 - 20 ** (1 - exponent))
    empirical = (np.arange(len(radii)) + 0.5) / len(radii)
    assert np.abs(empirical - expected).max() < 1.95 / math.sqrt(len(radii))  # Kolmogorov–Smirnov, p = 0.001


def test_leaf_density_at_the_border_equals_the_density_at_the_centre() -> None:
    distribution, n = LeafDistribution(4.0, 32.0, 3.0, [SHAPES["disc"]], 1.0), 64
    coverage = np.zeros((n, n))
    for seed in range(12):
        leaves = distribution.draw(_rng(seed), n)
        for k in range(0, len(leaves), 8):
            coverage += _covered_by_leaf(leaves, k, n)
    edge, centre = coverage[:4].mean(), coverage[28:36, 28:36].mean()
    assert edge == pytest.approx(centre, rel=0.06)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5])
def test_textures_have_the_power_spectrum_of_gamma(gamma: float) -> None:
    n = 128
    power = np.mean([np.abs(np.fft.fft2(noise_field(_rng(seed), n, gamma))) ** 2 for seed in range(8)], axis=0)
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :])
    band = (frequency > 0.02) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-2 * gamma, abs=0.05)


def test_images_without_saturation_are_grey() -> None:
    image = DeadLeaves(1, size=48, saturation=0.0).generate(0).astype(int)
    assert np.ptp(image, axis=-1).max() <= 1


def test_leaves_without_texture_have_one_colour_each() -> None:
    plain = {"gradient": 0.0, "stripes": 0.0, "texture": 0.0, "blur": 0.0, "oversampling": 1}
    source = DeadLeaves(1, size=48, radius=[6.0, 30.0], **plain)
    front, _ = cover_canvas(np.random.Generator(np.random.Philox(key=0, counter=0)), 48, source.distribution)
    image = source.generate(0)
    for leaf in np.unique(front):
        assert len(np.unique(image[front == leaf], axis=0)) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
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
def test_parameters_out_of_range_are_rejected(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeadLeaves(**wrong)
