"""Arrays as images that are embedded in the page."""

import base64
import io

import numpy as np

NEGATIVE, ZERO, POSITIVE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
"""RGB colours of the diverging colour map; blue and red are distinguishable with red-green colour blindness."""


def data_uri(pixels: np.ndarray) -> str:
    """An image, (H, W), (H, W, 3) or (H, W, 4) uint8, as a PNG in a data URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def diverging_colours(values: np.ndarray, largest: float) -> np.ndarray:
    """Map values, (H, W), from blue at −largest over white to red at +largest: (H, W, 3) uint8. Others are clipped.

    Colour strength grows with the square root, so that small values, the most of a kernel, remain visible.

    >>> diverging_colours(np.array([[-1.0, 0.0, 1.0]]), 1.0).tolist()
    [[[33, 102, 172], [247, 247, 247], [178, 24, 43]]]
    """
    relative = np.clip(values / largest, -1, 1)[..., None] if largest > 0 else np.zeros((*values.shape, 1))
    negative, zero, positive = (np.array(colour, float) for colour in (NEGATIVE, ZERO, POSITIVE))
    strength = np.sqrt(np.abs(relative))
    return (zero + strength * (np.where(relative < 0, negative, positive) - zero)).round().astype(np.uint8)


def tile_kernels(kernels: np.ndarray, gap: int = 1) -> np.ndarray:
    """Arrange kernels, (R, C, H, W), in R rows and C columns of one array, with NaN in the gaps of `gap` pixels."""
    rows, cols, height, width = kernels.shape
    tiled = np.full((rows * (height + gap) - gap, cols * (width + gap) - gap), np.nan)
    for row in range(rows):
        for col in range(cols):
            top, left = row * (height + gap), col * (width + gap)
            tiled[top : top + height, left : left + width] = kernels[row, col]
    return tiled


def transparent_gaps(values: np.ndarray, largest: float) -> np.ndarray:
    """`diverging_colours` with a transparent pixel for every NaN: (H, W, 4) uint8."""
    missing = np.isnan(values)
    colours = diverging_colours(np.where(missing, 0, values), largest)
    return np.concatenate([colours, np.where(missing, 0, 255).astype(np.uint8)[..., None]], axis=2)
