"""The operators on a photograph, with their impulse responses and spectra: one sheet, a row for each operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from upnet.gallery.example import Example, example_site
from upnet.gallery.figure_layout import DPI, FLOOR, LEVELS, SIGNED, Sheet
from upnet.imaging.imresize import imresize
from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.utils.atomic_io import open_atomic

# The badge on the astronaut's chest: lettering, thin lines, and the weave of the cloth.
TOP, LEFT, SIDE = 343, 129, 84


@dataclass(frozen=True)
class Pair:
    """hr: (3, 84, 84) in [0, 1], float64. lr: (3, h, w), the same picture reduced by the scale."""

    hr: Tensor
    lr: Tensor


def load_pair(scale: float) -> Pair:
    """A detail of scikit-image's astronaut, and its bicubic reduction; antialiased, as SR data sets are made."""
    from skimage import data

    whole = torch.from_numpy(data.astronaut()).permute(2, 0, 1).double() / 255
    hr = whole[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return Pair(hr, imresize(hr, 1 / Fraction(str(scale))).clamp(0, 1))


@torch.no_grad()
def enlarge(operator: Upsampler, pair: Pair) -> Tensor:
    """(3, 84, 84): each colour by itself through an operator of one channel.

    What reads more than the size of its site gets the HR picture's own maxima, and their positions.
    """
    planes, size = pair.hr[:, None], (pair.hr.shape[-2], pair.hr.shape[-1])
    if not operator.requires:
        return operator(pair.lr[:, None], Site(size))[:, 0]
    x, indices = F.max_pool2d(planes, int(operator.scale), ceil_mode=True, return_indices=True)
    return operator(x, Site(size, indices=indices, skip=planes))[:, 0]


def match_contrast(picture: Tensor, like: Tensor) -> Tensor:
    """The picture with the mean and the contrast of another one: untrained weights have a gain of their own."""
    spread = picture.std().clamp(min=1e-12)
    return (picture - picture.mean()) / spread * like.std() + like.mean()


# Twice the pixels that the widest kernel shown reaches, and odd: the impulse stands in the middle.
LENGTH = 17
FREQUENCIES = 256


@torch.no_grad()
def impulse_response(operator: Upsampler) -> Tensor:
    """What becomes of a single 1 at the middle of 17×17 zeros, (17·s, 17·s), biases taken off.

    An operator that reads positions is given some: its response moves with them.
    """
    impulse = torch.zeros(1, operator.channels, LENGTH, LENGTH, dtype=torch.float64)
    impulse[..., LENGTH // 2, LENGTH // 2] = 1
    site = example_site(operator, impulse).site
    return (operator(impulse, site) - operator(torch.zeros_like(impulse), site))[0, 0]


def level(response: Tensor) -> Tensor:
    """How strongly each frequency passes, (256, 256) in dB below the strongest, zero frequency in the middle."""
    return _decibels(torch.fft.fft2(response, s=(FREQUENCIES, FREQUENCIES)))


def spectrum(picture: Tensor) -> Tensor:
    """How strong each frequency of a picture (C, H, W) is, (H, W) in dB below the strongest, zero in the middle.

    Of the mean over its channels, and without its mean. A Hann window keeps the border, where left meets right, from
    drawing a cross over everything.
    """
    grey = picture.mean(0)
    rows, cols = (torch.hann_window(length, periodic=False, dtype=grey.dtype) for length in grey.shape)
    return _decibels(torch.fft.fft2((grey - grey.mean()) * torch.outer(rows, cols)))


def _decibels(values: Tensor) -> Tensor:
    magnitude = torch.fft.fftshift(values.abs())
    return 20 * torch.log10((magnitude / magnitude.max().clamp(min=1e-30)).clamp(min=1e-10))


FIRST_ROW = -1
OPERATOR = "Named as in upnet.upsample, with what it does and how it was built."
OUTPUT = (
    "What the operator makes of LR. What has weights to learn is shown before any training: with its initial weights, "
    "drawn with seed {seed}, and with the contrast of HR, as those weights have a gain of their own."
)
RESPONSE = (
    "What becomes of a single LR pixel: red adds, blue takes away. The lines are those of the LR grid. The cross marks "
    "the pixel's centre: a response that doesn't lie around it shifts the picture."
)
PASSING = (
    "The spectrum of that response. Zero frequency is in the middle, half a cycle per HR pixel at the border. The "
    "dashed square is all that LR can hold. What passes at a circle, a multiple of 1/s, turns flat areas into a "
    "checkerboard."
)
SPECTRUM = (
    "Enlarging repeats the spectrum of LR around every multiple of 1/s. An interpolation can only take these copies "
    "away; what belongs there instead, a network has to learn."
)


def draw(examples: Sequence[Example], scale: float, seed: int) -> Figure:
    """A figure of 2000 pixels' width: HR and LR at the top, then each example's output, response and spectra."""
    pair, sheet = load_pair(scale), Sheet(len(examples), scale)
    subject = "the upsampling operators make" if len(examples) > 1 else f"{examples[0].name} makes"
    remark = "" if scale == int(scale) else ": every pixel has a response of its own, of which one is shown"
    sheet.title(f"What {subject} of the same pixels", f"Scale {scale:g}{remark}.")
    _draw_start(sheet, pair, scale)
    floor = f"{FLOOR:g} dB".replace("-", "−")
    sheet.legend(-1, "operator", OPERATOR)
    sheet.legend(0, "output", OUTPUT.format(seed=seed))
    sheet.legend(1, "impulse response", RESPONSE, SIGNED, ("−", "0", "+"))
    sheet.legend(2, "frequencies that pass", PASSING, LEVELS, (floor, "", "0 dB"))
    sheet.legend(3, "spectrum of the output", SPECTRUM, LEVELS, (floor, "", "0 dB"))
    for row, example in enumerate(examples):
        _draw_example(sheet, row, example, pair)
    return sheet.figure


def save(figure: Figure, path: Path, examples: Sequence[Example]) -> tuple[int, int]:
    """Write a PNG under its final name once it is whole, and return its width and height in pixels."""
    words = "; ".join(f"{example.name}: {example.sentence}" for example in examples)
    with open_atomic(path) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Title": "Upsampling operators", "Description": words})
    width, height = figure.get_size_inches() * DPI
    return round(width), round(height)


def _draw_start(sheet: Sheet, pair: Pair, scale: float) -> None:
    (height, width), (low, narrow) = pair.hr.shape[-2:], pair.lr.shape[-2:]
    sheet.words(
        FIRST_ROW,
        "HR and LR",
        "A detail of a photograph as it was taken, and the same detail reduced, by antialiased bicubic interpolation: "
        "what every operator starts from.",
    )
    sheet.caption(0, f"HR, {width} × {height} pixels")
    sheet.photograph(FIRST_ROW, 0, pair.hr)
    sheet.caption(1, f"LR, {narrow} × {low} pixels")
    sheet.photograph(FIRST_ROW, 1, pair.lr)
    sheet.caption(2, "spectrum of HR")
    sheet.frequencies(FIRST_ROW, 2, spectrum(pair.hr))
    sheet.caption(3, "spectrum of LR")
    sheet.frequencies(FIRST_ROW, 3, spectrum(pair.lr), reach=0.5 / scale)


def _draw_example(sheet: Sheet, row: int, example: Example, pair: Pair) -> None:
    operator, output, remark = example.operator, enlarge(example.operator, pair), ""
    if example.learnable:
        output, remark = match_contrast(output, pair.hr), "Initial weights."
    if operator.requires:
        remark += " Of the maxima of HR and their positions; the response moves with the position."
    response = impulse_response(operator)
    sheet.words(row, example.name, example.sentence, example.code, remark.strip())
    sheet.photograph(row, 0, output)
    sheet.response(row, 1, response)
    sheet.frequencies(row, 2, level(response), marks=True)
    sheet.frequencies(row, 3, spectrum(output))
