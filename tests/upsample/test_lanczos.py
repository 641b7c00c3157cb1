"""Lanczos against Pillow, at the borders too."""

import numpy as np
import pytest
import torch
from PIL import Image

from upnet.upsample import Lanczos

SCALES = [2, 3, 4, 1.14, 1.5, 2.5]


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [(9, 12), (2, 5), (1, 1)], ids=str)
def test_equals_pillow_lanczos_with_replicated_borders(scale, size):
    """Pillow omits pixels outside the image; with a replicated border wider than the kernel it omits none.

    Without the frame it is the same off the borders.
    """
    x, frame = np.random.default_rng(0).random(size, np.float32), 6
    framed = np.pad(x, frame, mode="edge")
    shape = (framed.shape[1] * scale, framed.shape[0] * scale)
    pillow = np.array(Image.fromarray(framed).resize(shape, Image.Resampling.LANCZOS))
    out = Lanczos(1, scale).upsample_full(torch.from_numpy(x).double()[None, None])[0, 0].numpy()
    inside = (slice(frame * scale, -frame * scale),) * 2
    np.testing.assert_allclose(out, pillow[inside], rtol=0, atol=2e-6)


def test_equals_pillow_lanczos_away_from_the_borders():
    x = np.random.default_rng(1).random((12, 10), np.float32)
    pillow = np.array(Image.fromarray(x).resize((20, 24), Image.Resampling.LANCZOS))
    out = Lanczos(1, 2).upsample_full(torch.from_numpy(x).double()[None, None])[0, 0].numpy()
    inside = (slice(6, -6),) * 2
    np.testing.assert_allclose(out[inside], pillow[inside], rtol=0, atol=2e-6)
    assert np.abs(out - pillow).max() > 1e-3


@pytest.mark.parametrize("lobes", [1, 2, 3, 4])
def test_weights_are_the_normalised_windowed_sinc(lobes):
    places = np.arange(-lobes, lobes) + 0.75  # of the taps, seen from a quarter beyond an input pixel
    weights = np.sinc(places) * np.sinc(places / lobes)
    row = Lanczos(1, 2, lobes=lobes).matrix(21)[21, 10 - lobes + 1 : 10 + lobes + 1]
    np.testing.assert_allclose(row.numpy(), weights / weights.sum(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("scale", SCALES)
def test_constants_and_coinciding_input_pixels_are_reproduced(scale):
    rows = Lanczos(1, scale).matrix(30)
    torch.testing.assert_close(rows.sum(1), torch.ones(len(rows), dtype=torch.float64), rtol=1e-13, atol=0)
    if scale == 3:
        torch.testing.assert_close(rows[1::3], torch.eye(30, dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize("lobes", [0, -1, 65, 2.5])
def test_fewer_than_one_lobe_is_rejected(lobes):
    with pytest.raises(ValueError, match=f"lobes={lobes}: .*an integer from 1 to 64, usually 2 or 3"):
        Lanczos(1, 2, lobes=lobes)
