"""The section of a report on diagnostics beyond PSNR and SSIM: table, spectra, impulse and constant responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from upnet.data import Store
from upnet.evaluation.optional_output import optional_output
from upnet.metrics import BASELINES, EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.study.diagnostics import UpscalingMethod, describe, diagnostics, measure, measure_method
from upnet.study.diagnostics.base import CostDiagnostic
from upnet.study.diagnostics.phase_variance import phase_pattern
from upnet.study.diagnostics.power_spectrum import luma_pair
from upnet.study.diagnostics.run import format_number
from upnet.study.diagnostics.spectrum import radial_profile
from upnet.study.report.arms import ReportedStudy
from upnet.study.report.content import Gallery, Plot
from upnet.study.report.details import Tile
from upnet.study.report.images import data_uri, diverging_colours, tile_kernels, transparent_gaps
from upnet.study.report.plots import spectrum_plot
from upnet.study.report.tables import Cell, Table

MAX_IMAGES = 3
"""Diagnostics on images are means over the first images of the first data set, at most this many."""

GREY = 0.5
"""The level of the constant input, in [0, 1]."""

MAX_DEVIATION = 2.0
"""The deviation on a constant input that gets the strongest colour, in units of 1/255."""

_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""LR, (3, h, w), and HR, (3, H, W), both uint8."""

Spectrum = tuple[np.ndarray, np.ndarray]
"""Frequencies in cycles per HR pixel, and power relative to HR in dB, both (K,)."""


@dataclass(frozen=True)
class NetworkDiagnostics:
    """The diagnostics of one network.

    scalars:  value by name of the diagnostic.
    impulse:  the kernel of each output phase, (s, s, D, D).
    constant: one period of the output for a constant input, minus its mean, (P, P), in units of 1/255.
    spectrum: None without images.
    """

    scalars: dict[str, float]
    impulse: np.ndarray | None
    constant: np.ndarray | None
    spectrum: Spectrum | None


@dataclass(frozen=True)
class DiagnosticsSection:
    """The content of the section. definitions: heading of a diagnostic -> its formula and source."""

    table: Table | None = None
    plots: Sequence[Plot] = ()
    galleries: Sequence[Gallery] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)


def diagnostics_section(
    study: ReportedStudy, networks: Sequence[EncoderDecoder], store: Store | None, protocol: EvaluationProtocol
) -> DiagnosticsSection:
    """The section for one network per arm.

    store: the images to measure on; None leaves diagnostics on images out.
    """
    names = [entry.name for entry in study.entries]
    by_arm = {name: diagnose_network(net, store, protocol) for name, net in zip(names, networks, strict=True)}
    bicubic = diagnose_bicubic(networks[0].scale, store)
    rows = by_arm | ({} if bicubic is None else {"bicubic, no network": bicubic})
    spectra = {name: values.spectrum for name, values in rows.items() if values.spectrum is not None}
    plots = []
    if spectra:
        with optional_output("the report's plot of spectra"):
            plots.append(Plot("spectra", "Spectra", spectrum_plot(spectra, names, networks[0].scale), SPECTRA))
    galleries = []
    with optional_output("the report's images of responses"):
        galleries = [_impulse_gallery(by_arm), _constant_gallery(by_arm)]
    descriptions = describe(next(iter(by_arm.values())).scalars).values()
    definitions = {text["heading"]: f"{text['formula']}. {text['source']}" for text in descriptions}
    return DiagnosticsSection(_table(rows, store), plots, galleries, definitions)


def diagnose_network(net: EncoderDecoder, store: Store | None, protocol: EvaluationProtocol) -> NetworkDiagnostics:
    """All diagnostics of a network except its costs; without a store, those that need no images."""
    pairs = first_pairs(store)
    names = [name for name, diagnostic in diagnostics().items() if not isinstance(diagnostic, CostDiagnostic)]
    if not pairs:
        names = [name for name in names if not diagnostics()[name].per_image]
    values = measure(net, pairs, protocol, only=names)
    method = UpscalingMethod.from_network(net)
    constant = phase_pattern(method, GREY).numpy()
    return NetworkDiagnostics(
        scalars={name: value for name, value in values.items() if isinstance(value, float)},
        impulse=np.asarray(values["impulse_response"]),
        constant=255 * (constant - constant.mean()),
        spectrum=_mean_spectrum(method, pairs) if pairs else None,
    )


def diagnose_bicubic(scale: int, store: Store | None) -> NetworkDiagnostics | None:
    """The diagnostics on images and the spectrum of bicubic interpolation; None without images."""
    pairs = first_pairs(store)
    if not pairs:
        return None
    method = UpscalingMethod(lambda small: BASELINES["bicubic"](small, scale), scale)
    values: dict[str, Any] = measure_method(method.function, scale, pairs)
    scalars = {name: value for name, value in values.items() if isinstance(value, float)}
    return NetworkDiagnostics(scalars, None, None, _mean_spectrum(method, pairs))


def first_pairs(store: Store | None) -> Pairs:
    """The first images of a store, at most `MAX_IMAGES`."""
    if store is None:
        return []
    return [(_to_planes(store.lr(index)), _to_planes(store.hr(index))) for index in range(min(MAX_IMAGES, len(store)))]


def _mean_spectrum(method: UpscalingMethod, pairs: Pairs) -> Spectrum:
    """The mean over images; images too small for the largest block size are left out."""
    levels: list[np.ndarray] = []
    frequencies: list[np.ndarray] = []
    for lr, hr in pairs:
        target = (hr / 255).double()
        luma = method.upscaled_luma(lr.float() / 255)[None]
        output_power, target_power = luma_pair(luma, target, method.scale)
        bins, radial = radial_profile(output_power, method.scale)
        frequencies.append(bins.numpy())
        levels.append((10 * torch.log10(radial / radial_profile(target_power, method.scale)[1])).numpy())
    longest = max(frequencies, key=len)
    complete = [level for level, bins in zip(levels, frequencies, strict=True) if len(bins) == len(longest)]
    return longest, np.mean(complete, axis=0)


def _to_planes(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(np.array(pixels)).movedim(-1, 0)


def _table(rows: Mapping[str, NetworkDiagnostics], store: Store | None) -> Table:
    names = list(next(iter(rows.values())).scalars)
    texts = describe(names)
    headings = ["arm"]
    for name in names:
        unit = "" if texts[name]["unit"] == "1" else f" in {texts[name]['unit']}"
        headings.append(f"{texts[name]['heading']}{unit}{_ARROWS[texts[name]['better']]}")
    cells = [[Cell(arm), *(_scalar(values.scalars.get(name)) for name in names)] for arm, values in rows.items()]
    notes = ["↑: higher is better. ↓: lower is better. One trained network per arm; intervals are not available."]
    if store is not None:
        notes.append(f"Diagnostics on images are means over {', '.join(store.names[:MAX_IMAGES])} of {store.name}.")
    title = "Diagnostics beyond PSNR and SSIM"
    return Table("diagnostics", title, headings, cells, frozenset(range(1, len(headings))), notes)


def _scalar(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(format_number(value), value)


def _impulse_gallery(by_arm: Mapping[str, NetworkDiagnostics]) -> Gallery:
    kernels = {name: values.impulse for name, values in by_arm.items() if values.impulse is not None}
    largest = max((float(np.abs(kernel).max()) for kernel in kernels.values()), default=0.0)
    tiles = [Tile(name, data_uri(transparent_gaps(tile_kernels(kernel), largest))) for name, kernel in kernels.items()]
    return Gallery("Impulse responses", IMPULSES.format(largest=largest), tiles)


def _constant_gallery(by_arm: Mapping[str, NetworkDiagnostics]) -> Gallery:
    tiles = []
    for name, values in by_arm.items():
        if values.constant is not None:
            repeats = max(1, 32 // len(values.constant))
            pixels = diverging_colours(np.tile(values.constant, (repeats, repeats)), MAX_DEVIATION)
            label = f"{name}: at most {np.abs(values.constant).max():.2g}/255"
            tiles.append(Tile(label, data_uri(pixels)))
    return Gallery("Responses to a constant input", CONSTANTS.format(largest=MAX_DEVIATION), tiles)


SPECTRA = (
    "Radial power spectrum of luma (Y) relative to HR. At 0 dB the output has the power of HR at this frequency; the "
    "spectrum does not show whether the detail is correct. LR contains no frequencies above its Nyquist frequency "
    "(dashed line)."
)
IMPULSES = (
    "Change of the output when one LR pixel becomes brighter. There is one block per output phase; each block shows "
    "9 × 9 LR pixels, one square per pixel. Red: positive, blue: negative, white: zero; the strongest colour is "
    "±{largest:.2g}. Networks are nonlinear: the response depends on the surrounding pixels."
)
CONSTANTS = (
    "Output for a constant grey input, minus its mean. Every visible pattern is an artefact of the network. Red: "
    "brighter, blue: darker; the strongest colour is a deviation of {largest:g}/255 or more."
)
