"""Arrays as pictures that stand inside the page."""

import base64
import io

import numpy as np

COLD, MIDDLE, WARM = (33, 102, 172), (247, 247, 247), (178, 24, 43)
"""Negative, zero and positive; told apart by those who don't see red or green, and in print by their labels."""


def data_uri(picture: np.ndarray) -> str:
    """(H, W, 3) or (H, W) uint8 as a PNG in a data URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def diverging_colours(values: np.ndarray, largest: float) -> np.ndarray:
    """(H, W) in ±largest -> (H, W, 3) uint8, blue through white to red; what is beyond is cut."""
    share = np.clip(values / largest, -1, 1)[..., None] if largest > 0 else np.zeros((*values.shape, 1))
    cold, middle, warm = (np.array(colour, float) for colour in (COLD, MIDDLE, WARM))
    # A root, so that the small values, which are most of a kernel, can be seen.
    strength = np.sqrt(np.abs(share))
    return (middle + strength * (np.where(share < 0, cold, warm) - middle)).round().astype(np.uint8)


def tile_kernels(kernels: np.ndarray, gap: int = 1) -> np.ndarray:
    """(R, C, H, W) -> one array of all kernels, NaN in the gaps between them."""
    rows, cols, height, width = kernels.shape
    made = np.full((rows * (height + gap) - gap, cols * (width + gap) - gap), np.nan)
    for row in range(rows):
        for col in range(cols):
            top, left = row * (height + gap), col * (width + gap)
            made[top : top + height, left : left + width] = kernels[row, col]
    return made


def transparent_gaps(values: np.ndarray, largest: float) -> np.ndarray:
    """`signed`, with a transparent pixel wherever there is NaN: (H, W, 4) uint8."""
    missing = np.isnan(values)
    colours = diverging_colours(np.where(missing, 0, values), largest)
    return np.concatenate([colours, np.where(missing, 0, 255).astype(np.uint8)[..., None]], axis=2)
