"""The figures of an operator's page: output, impulse response, frequency response and spectrum, one PNG each."""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from upnet.gallery.example import prepare
from upnet.gallery.figure import enlarge, impulse_response, level, load_pair, match_contrast, spectrum
from upnet.gallery.figure_layout import Sheet
from upnet.upsample import Upsampler

SCALE = 2
SIDE, DPI = 2.1, 320
"""Side of a figure in inches, so that each of the 84 pixels of the image is 8 dots wide; twice what a screen shows."""


class Panel(Sheet):
    """A figure of one square, which is drawn by the methods of the sheet of `upnet operators`."""

    def __init__(self) -> None:
        self.scale = SCALE
        self.figure = Figure(figsize=(SIDE, SIDE), dpi=DPI, facecolor="none")
        FigureCanvasAgg(self.figure)

    def _square(self, row: int, column: int) -> Axes:
        return self.figure.add_axes((0, 0, 1, 1), xticks=[], yticks=[])


@torch.no_grad()
def draw_operator(operator: type[Upsampler], folder: Path, name: str) -> dict[str, str]:
    """Write `folder/name-*.png` with the operator's default settings, and return each file's caption."""
    torch.manual_seed(0)
    built, pair = prepare(operator, SCALE, {}).operator, load_pair(SCALE)
    output = enlarge(built, pair)
    learned = any(parameter.requires_grad for parameter in built.parameters())
    if learned:
        output = match_contrast(output, pair.hr)
    response = impulse_response(built)
    initial = " The weights are initial ones, and the contrast is matched to the HR image." if learned else ""
    panels: dict[str, tuple[str, Callable[[Panel], None]]] = {
        "output": (f"**Output** for an LR image of 42 × 42 pixels.{initial}", lambda p: p.photograph(0, 0, output)),
        "impulse": (
            "**Impulse response**: the output for a single LR pixel. Red is positive, blue negative; the lines are the "
            "LR grid, the cross is the centre of the pixel.",
            lambda p: p.response(0, 0, response),
        ),
        "frequency": (
            "**Frequency response**: the spectrum of the impulse response, from 0 dB (bright) to −50 dB (black). Zero "
            "frequency is in the middle. The dashed square holds the frequencies of the LR image; energy at the "
            "circles becomes a checkerboard.",
            lambda p: p.frequencies(0, 0, level(response), marks=True),
        ),
        "spectrum": (
            "**Spectrum of the output**. Outside the square of the LR frequencies lie the copies that upsampling "
            "creates and the operator has not removed.",
            lambda p: p.frequencies(0, 0, spectrum(output)),
        ),
    }
    for panel, (_, draw) in panels.items():
        _save(folder / f"{name}-{panel}.png", draw)
    return {f"{name}-{panel}.png": caption for panel, (caption, _) in panels.items()}


def draw_input(folder: Path) -> dict[str, str]:
    """Write the HR and LR image of all pages, and return each file's caption."""
    pair = load_pair(SCALE)
    _save(folder / "input-hr.png", lambda p: p.photograph(0, 0, pair.hr))
    _save(folder / "input-lr.png", lambda p: p.photograph(0, 0, pair.lr))
    return {
        "input-hr.png": "**HR**: a detail of a photograph, 84 × 84 pixels.",
        "input-lr.png": "**LR**: its reduction by antialiased bicubic interpolation, 42 × 42 pixels. The input of "
        "every operator.",
    }


def _save(path: Path, draw: Callable[[Panel], None]) -> None:
    panel = Panel()
    draw(panel)
    path.parent.mkdir(parents=True, exist_ok=True)
    panel.figure.savefig(path, format="png", dpi=DPI)
