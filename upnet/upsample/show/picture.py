"""The operators on a photograph, with their impulse responses and spectra: one sheet, a row for each operator."""

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from upnet.upsample.show.photograph import Pair, enlarge, load_pair, stretched
from upnet.upsample.show.response import impulse_response, level, spectrum
from upnet.upsample.show.sheet import DPI, FLOOR, LEVELS, SIGNED, Sheet
from upnet.upsample.show.specimen import Specimen

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


def draw(specimens: Sequence[Specimen], scale: float, seed: int) -> Figure:
    """A figure of 2000 pixels' width: HR and LR at the top, then each specimen's output, response and spectra."""
    pair, sheet = load_pair(scale), Sheet(len(specimens), scale)
    subject = "the upsampling operators make" if len(specimens) > 1 else f"{specimens[0].name} makes"
    remark = "" if scale == int(scale) else ": every pixel has a response of its own, of which one is shown"
    sheet.title(f"What {subject} of the same pixels", f"Scale {scale:g}{remark}.")
    _draw_start(sheet, pair, scale)
    floor = f"{FLOOR:g} dB".replace("-", "−")
    sheet.legend(-1, "operator", OPERATOR)
    sheet.legend(0, "output", OUTPUT.format(seed=seed))
    sheet.legend(1, "impulse response", RESPONSE, SIGNED, ("−", "0", "+"))
    sheet.legend(2, "frequencies that pass", PASSING, LEVELS, (floor, "", "0 dB"))
    sheet.legend(3, "spectrum of the output", SPECTRUM, LEVELS, (floor, "", "0 dB"))
    for row, specimen in enumerate(specimens):
        _draw_specimen(sheet, row, specimen, pair)
    return sheet.figure


def save(figure: Figure, path: Path, specimens: Sequence[Specimen]) -> tuple[int, int]:
    """Write a PNG under its final name once it is whole, and return its width and height in pixels."""
    half_written = path.with_name(f".{path.name}.{os.getpid()}.part")
    words = "; ".join(f"{specimen.name}: {specimen.sentence}" for specimen in specimens)
    try:
        with half_written.open("wb") as file:
            figure.savefig(
                file, format="png", dpi=DPI, metadata={"Title": "Upsampling operators", "Description": words}
            )
        half_written.replace(path)
    finally:
        half_written.unlink(missing_ok=True)
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


def _draw_specimen(sheet: Sheet, row: int, specimen: Specimen, pair: Pair) -> None:
    operator, output, remark = specimen.operator, enlarge(specimen.operator, pair), ""
    if specimen.learnable:
        output, remark = stretched(output, pair.hr), "Initial weights."
    if operator.requires:
        remark += " Of the maxima of HR and their positions; the response moves with the position."
    response = impulse_response(operator)
    sheet.words(row, specimen.name, specimen.sentence, specimen.code, remark.strip())
    sheet.photograph(row, 0, output)
    sheet.response(row, 1, response)
    sheet.frequencies(row, 2, level(response), marks=True)
    sheet.frequencies(row, 3, spectrum(output))
