"""The figures of an operator's page: output, impulse response, frequency response and spectrum, one PNG each."""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from upnet.gallery.example import build_example
from upnet.gallery.figure import (
    frequency_response,
    impulse_response,
    load_image_pair,
    match_contrast,
    spectrum,
    upsample_image,
)
from upnet.gallery.panels import draw_image, draw_impulse_response, draw_spectrum, mark_aliases
from upnet.upsample import Upsampler

SCALE = 2
SIDE, DPI = 2.1, 320
"""Side of a figure in inches, so that each of the 84 pixels of the image is 8 dots wide; twice what a screen shows."""


@torch.no_grad()
def draw_operator(operator: type[Upsampler], folder: Path, name: str) -> dict[str, str]:
    """Write `folder/name-*.png` with the operator's default settings, and return each file's caption."""
    torch.manual_seed(0)
    example, pair = build_example(operator, SCALE, {}), load_image_pair(SCALE)
    output = upsample_image(example.operator, pair)
    if example.learnable:
        output = match_contrast(output, pair.hr)
    response = impulse_response(example.operator)
    initial = " The weights are initial ones, and the contrast is matched to the HR image." if example.learnable else ""
    panels: dict[str, tuple[str, Callable[[Axes], None]]] = {
        "output": (f"**Output** for an LR image of 42 × 42 pixels.{initial}", lambda axes: draw_image(axes, output)),
        "impulse": (
            "**Impulse response**: the output for a single LR pixel. Red is positive, blue negative; the lines are the "
            "LR grid, the cross is the centre of the pixel.",
            lambda axes: draw_impulse_response(axes, response, SCALE),
        ),
        "frequency": (
            "**Frequency response**: the spectrum of the impulse response, from 0 dB (bright) to −50 dB (black). Zero "
            "frequency is in the middle. The dashed square holds the frequencies of the LR image; energy at the "
            "circles becomes a checkerboard.",
            lambda axes: _draw_frequency_response(axes, response),
        ),
        "spectrum": (
            "**Spectrum of the output**. Outside the square of the LR frequencies lie the copies that upsampling "
            "creates and the operator has not removed.",
            lambda axes: draw_spectrum(axes, spectrum(output)),
        ),
    }
    for panel, (_, draw) in panels.items():
        _save(folder / f"{name}-{panel}.png", draw)
    return {f"{name}-{panel}.png": caption for panel, (caption, _) in panels.items()}


def draw_input(folder: Path) -> dict[str, str]:
    """Write the HR and LR image of all pages, and return each file's caption."""
    pair = load_image_pair(SCALE)
    _save(folder / "input-hr.png", lambda axes: draw_image(axes, pair.hr))
    _save(folder / "input-lr.png", lambda axes: draw_image(axes, pair.lr))
    return {
        "input-hr.png": "**HR**: a detail of a photograph, 84 × 84 pixels.",
        "input-lr.png": "**LR**: the same detail, downscaled to 42 × 42 pixels by antialiased bicubic interpolation. "
        "It is the input of every operator.",
    }


def _draw_frequency_response(axes: Axes, response: Tensor) -> None:
    draw_spectrum(axes, frequency_response(response))
    mark_aliases(axes, SCALE)


def _save(path: Path, draw: Callable[[Axes], None]) -> None:
    figure = Figure(figsize=(SIDE, SIDE), dpi=DPI, facecolor="none")
    draw(figure.add_axes((0, 0, 1, 1), xticks=[], yticks=[]))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=DPI)
