"""Drawings of images, impulse responses and spectra in square axes."""

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from torch import Tensor

SIGNED_COLORMAP, SPECTRUM_COLORMAP = "RdBu_r", "magma"
MIN_DB = -50.0
"""The level that is drawn in black."""
RESPONSE_RADIUS = 3
"""An impulse response is drawn from −3 to 3 LR pixels around the centre of the impulse."""


def draw_image(axes: Axes, image: Tensor) -> None:
    """Draw an image (3, H, W) in [0, 1], without interpolation."""
    axes.imshow(image.clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="nearest")


def draw_impulse_response(axes: Axes, response: Tensor, scale: float) -> None:
    """Draw an impulse response (H, W) around the centre of the impulse, with the grid of the LR pixels.

    The impulse is in the centre of an odd number of LR pixels.
    """
    maximum = float(response.abs().max())
    half = round(response.shape[0] / scale) / 2
    extent = (-half, -half + response.shape[1] / scale, -half + response.shape[0] / scale, -half)
    axes.imshow(
        response.numpy(), cmap=SIGNED_COLORMAP, vmin=-maximum, vmax=maximum, extent=extent, interpolation="nearest"
    )
    for position in np.arange(-RESPONSE_RADIUS - 0.5, RESPONSE_RADIUS + 1):
        axes.axhline(position, color="black", alpha=0.18, linewidth=0.4)
        axes.axvline(position, color="black", alpha=0.18, linewidth=0.4)
    outline = [patheffects.withStroke(linewidth=1.8, foreground="white")]
    axes.plot(0, 0, marker="+", color="black", markersize=5, markeredgewidth=0.7, path_effects=outline)
    axes.set(xlim=(-RESPONSE_RADIUS, RESPONSE_RADIUS), ylim=(RESPONSE_RADIUS, -RESPONSE_RADIUS))


def draw_spectrum(axes: Axes, spectrum: Tensor, max_frequency: float = 0.5) -> None:
    """Draw a spectrum (H, W) in dB, zero frequency in the centre, in axes up to 0.5 cycles per HR pixel.

    max_frequency: the frequency at the border of the spectrum, in cycles per HR pixel.
    """
    axes.set_facecolor("#f2f2f2")
    extent = (-max_frequency, max_frequency, max_frequency, -max_frequency)
    axes.imshow(spectrum.numpy(), cmap=SPECTRUM_COLORMAP, vmin=MIN_DB, vmax=0, extent=extent, interpolation="nearest")
    axes.set(xlim=(-0.5, 0.5), ylim=(0.5, -0.5))


def mark_aliases(axes: Axes, scale: float) -> None:
    """Mark, in the axes of a spectrum, the frequencies of LR by a square and the multiples of 1/s by circles."""
    nyquist, highest = 0.5 / scale, int(scale / 2)
    corners = nyquist * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    axes.plot(*corners.T, color="black", linewidth=0.9)
    axes.plot(*corners.T, color="white", linewidth=0.9, linestyle=(0, (3, 3)))
    multiples = np.arange(-highest, highest + 1) / scale
    points = np.array([(u, v) for u in multiples for v in multiples if (u, v) != (0, 0)]).reshape(-1, 2)
    # The diameter is at most half the distance of two circles.
    area = min(22.0, (60 / scale) ** 2)
    axes.scatter(*points.T, s=area, facecolors="none", edgecolors="#2fb5f5", linewidths=0.9, clip_on=False, zorder=3)
