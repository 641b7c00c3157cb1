"""A figure of upsampling operators: output for a photograph, impulse response and spectra, one row per operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from upnet.gallery.example import Example, example_site
from upnet.gallery.figure_layout import DPI, IMAGE_ROW, FigureLayout
from upnet.gallery.panels import (
    MIN_DB,
    SIGNED_COLORMAP,
    SPECTRUM_COLORMAP,
    draw_image,
    draw_impulse_response,
    draw_spectrum,
    mark_aliases,
)
from upnet.imaging.imresize import imresize
from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.utils.atomic_io import open_atomic

# The badge on the astronaut's chest, which has letters, thin lines and the texture of cloth.
TOP, LEFT, SIDE = 343, 129, 84
# LR pixels of the impulse image: more than twice the radius of the widest kernel shown, and odd, so that the impulse
# is in the centre.
IMPULSE_LENGTH = 17
FREQUENCIES = 256

OPERATOR_NOTE = "The class in upnet.upsample, what it does, and how it is built."
OUTPUT_NOTE = (
    "The output for LR. Operators with learned weights are untrained: they have the initial weights of seed {seed}, "
    "and their output is scaled to the mean and the contrast of HR."
)
RESPONSE_NOTE = (
    "The output for a single LR pixel: red is positive, blue is negative. The grid lines separate LR pixels. The cross "
    "is the centre of that pixel. A response that is not centred on it shifts the image."
)
FREQUENCY_NOTE = (
    "The spectrum of that response. Zero frequency is in the centre, half a cycle per HR pixel at the border. LR "
    "contains the frequencies in the dashed square. A response at a circle, a multiple of 1/s, gives a checkerboard on "
    "constant areas."
)
SPECTRUM_NOTE = (
    "Upsampling repeats the spectrum of LR around each multiple of 1/s. An interpolation can only attenuate these "
    "copies. A network can learn the missing frequencies."
)
IMAGES_NOTE = (
    "HR is a detail of a photograph. LR is the same detail, downscaled by antialiased bicubic interpolation; it is the "
    "input of the operators."
)


@dataclass(frozen=True)
class ImagePair:
    """An HR image and the same image downscaled.

    hr: (3, 84, 84) in [0, 1], float64.
    lr: (3, h, w) in [0, 1], float64.
    """

    hr: Tensor
    lr: Tensor


def load_image_pair(scale: float) -> ImagePair:
    """A detail of scikit-image's astronaut, and the same detail downscaled as in SR data sets (antialiased bicubic)."""
    from skimage import data

    photograph = torch.from_numpy(data.astronaut()).permute(2, 0, 1).double() / 255
    hr = photograph[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return ImagePair(hr, imresize(hr, 1 / Fraction(str(scale))).clamp(0, 1))


@torch.no_grad()
def upsample_image(operator: Upsampler, pair: ImagePair) -> Tensor:
    """The output (3, 84, 84) of an operator of one channel, applied to each colour of the LR image.

    An operator that reads encoder state gets the max-pooled HR image instead, with the indices of its maxima.
    """
    hr, size = pair.hr[:, None], (pair.hr.shape[-2], pair.hr.shape[-1])
    if not operator.requires:
        return operator(pair.lr[:, None], Site(size))[:, 0]
    pooled, indices = F.max_pool2d(hr, int(operator.scale), ceil_mode=True, return_indices=True)
    return operator(pooled, Site(size, indices=indices, skip=hr))[:, 0]


def match_contrast(image: Tensor, reference: Tensor) -> Tensor:
    """The image, any shape, scaled and shifted to the mean and the standard deviation of the reference.

    >>> match_contrast(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 9.0])).tolist()
    [5.0, 9.0]
    """
    deviation = image.std().clamp(min=1e-12)
    return (image - image.mean()) / deviation * reference.std() + reference.mean()


@torch.no_grad()
def impulse_response(operator: Upsampler) -> Tensor:
    """The output (17·s, 17·s) for a 1 in the centre of 17 × 17 zeros, minus the output for zeros only.

    For an operator that reads indices it depends on the indices, which are those of an example.
    """
    impulse = torch.zeros(1, operator.channels, IMPULSE_LENGTH, IMPULSE_LENGTH, dtype=torch.float64)
    impulse[..., IMPULSE_LENGTH // 2, IMPULSE_LENGTH // 2] = 1
    site = example_site(operator, impulse).site
    return (operator(impulse, site) - operator(torch.zeros_like(impulse), site))[0, 0]


def frequency_response(response: Tensor) -> Tensor:
    """Magnitude spectrum (256, 256) of an impulse response, in dB relative to its maximum, zero frequency centred."""
    return _centred_decibels(torch.fft.fft2(response, s=(FREQUENCIES, FREQUENCIES)))


def spectrum(image: Tensor) -> Tensor:
    """Magnitude spectrum (H, W) of an image (C, H, W), in dB relative to its maximum, zero frequency centred.

    The channels are averaged, the mean of the pixels is subtracted, and a Hann window is applied. Without the window,
    the difference between opposite borders gives a cross in the spectrum.
    """
    grey = image.mean(0)
    rows, cols = (torch.hann_window(length, periodic=False, dtype=grey.dtype) for length in grey.shape)
    return _centred_decibels(torch.fft.fft2((grey - grey.mean()) * torch.outer(rows, cols)))


def draw_figure(examples: Sequence[Example], scale: float, seed: int) -> Figure:
    """A figure 2000 pixels wide: HR and LR, the description of the columns, and a row for each example.

    seed: of the initial weights, for the description.
    """
    pair, layout = load_image_pair(scale), FigureLayout(len(examples))
    subject = "upsampling operators" if len(examples) > 1 else examples[0].name
    remark = "" if scale == int(scale) else ". The impulse response differs between pixels; one is shown"
    layout.title(f"Output and spectra of {subject}", f"Scale {scale:g}{remark}.")
    _draw_images(layout, pair, scale)
    decibels = (f"{MIN_DB:g} dB".replace("-", "−"), "", "0 dB")
    layout.describe_operators("operator", OPERATOR_NOTE)
    layout.describe_column(0, "output", OUTPUT_NOTE.format(seed=seed))
    layout.describe_column(1, "impulse response", RESPONSE_NOTE, SIGNED_COLORMAP, ("−", "0", "+"))
    layout.describe_column(2, "frequency response", FREQUENCY_NOTE, SPECTRUM_COLORMAP, decibels)
    layout.describe_column(3, "spectrum of the output", SPECTRUM_NOTE, SPECTRUM_COLORMAP, decibels)
    for row, example in enumerate(examples):
        _draw_example(layout, row, example, pair, scale)
    return layout.figure


def save_figure(figure: Figure, path: Path, examples: Sequence[Example]) -> tuple[int, int]:
    """Write a PNG atomically, with the summaries as its description; returns its width and height in pixels.

    Raises OSError if the file cannot be written.
    """
    description = "; ".join(f"{example.name}: {example.summary}" for example in examples)
    metadata = {"Title": "Upsampling operators", "Description": description}
    with open_atomic(path) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata=metadata)
    width, height = figure.get_size_inches() * DPI
    return round(width), round(height)


def _draw_images(layout: FigureLayout, pair: ImagePair, scale: float) -> None:
    layout.label_row(IMAGE_ROW, "HR and LR", IMAGES_NOTE)
    for column, name, image in ((0, "HR", pair.hr), (1, "LR", pair.lr)):
        height, width = image.shape[-2:]
        layout.caption(column, f"{name}, {width} × {height} pixels")
        draw_image(layout.panel(IMAGE_ROW, column), image)
    layout.caption(2, "spectrum of HR")
    draw_spectrum(layout.panel(IMAGE_ROW, 2), spectrum(pair.hr))
    layout.caption(3, "spectrum of LR")
    draw_spectrum(layout.panel(IMAGE_ROW, 3), spectrum(pair.lr), max_frequency=0.5 / scale)


def _draw_example(layout: FigureLayout, row: int, example: Example, pair: ImagePair, scale: float) -> None:
    operator, output, remarks = example.operator, upsample_image(example.operator, pair), []
    if example.learnable:
        output = match_contrast(output, pair.hr)
        remarks.append("Initial weights.")
    if operator.requires:
        remarks.append("The input is max-pooled HR with its indices; the response depends on the index.")
    response = impulse_response(operator)
    layout.label_row(row, example.name, example.summary, example.code, " ".join(remarks))
    draw_image(layout.panel(row, 0), output)
    draw_impulse_response(layout.panel(row, 1), response, scale)
    frequencies = layout.panel(row, 2)
    draw_spectrum(frequencies, frequency_response(response))
    mark_aliases(frequencies, scale)
    draw_spectrum(layout.panel(row, 3), spectrum(output))


def _centred_decibels(spectrum: Tensor) -> Tensor:
    magnitude = torch.fft.fftshift(spectrum.abs())
    return 20 * torch.log10((magnitude / magnitude.max().clamp(min=1e-30)).clamp(min=1e-10))
