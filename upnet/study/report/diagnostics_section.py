"""The part of a report about what the networks do beyond PSNR and SSIM."""

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
from upnet.study.diagnostics.measure import format_number
from upnet.study.diagnostics.phase_variance import phase_pattern
from upnet.study.diagnostics.power_spectrum import luma_pair
from upnet.study.diagnostics.spectrum import radial_profile
from upnet.study.report.arms import ReportedStudy
from upnet.study.report.content import Gallery, Plot
from upnet.study.report.details import Tile
from upnet.study.report.images import data_uri, diverging_colours, tile_kernels, transparent_gaps
from upnet.study.report.plots import spectrum_plot
from upnet.study.report.tables import Cell, Table

PICTURES = 3
"""How many pictures the figures that look at pictures are means over, the first ones of the first data set."""

GREY = 0.5
"""The level of the constant input."""


@dataclass(frozen=True)
class NetworkDiagnostics:
    """Of one network.

    figures:  scalar diagnostics by name.
    impulse:  (s, s, D, D), the kernel of each output phase.
    constant: (P, P), one period of the output for a grey of 1/2, less its mean, in levels of 255.
    spectrum: frequencies in cycles per pixel and the power beside HR's in dB, both (K,); None without pictures.
    """

    figures: dict[str, float]
    impulse: np.ndarray | None
    constant: np.ndarray | None
    spectrum: tuple[np.ndarray, np.ndarray] | None


def diagnose_network(net: EncoderDecoder, store: Store | None, protocol: EvaluationProtocol) -> NetworkDiagnostics:
    """All of it, with the pictures of a store or, where there is none, without what needs them."""
    pictures = first_pairs(store)
    wanted = [one.name for one in diagnostics().values() if not isinstance(one, CostDiagnostic)]
    if not pictures:
        wanted = [name for name in wanted if not diagnostics()[name].per_image]
    values = measure(net, pictures, protocol, only=wanted)
    method = UpscalingMethod.from_network(net)
    flat = phase_pattern(method, GREY).numpy()
    return NetworkDiagnostics(
        figures={name: value for name, value in values.items() if isinstance(value, float)},
        impulse=np.asarray(values["impulse_response"]),
        constant=255 * (flat - flat.mean()),
        spectrum=_spectrum(method, pictures) if pictures else None,
    )


def diagnose_bicubic(scale: int, store: Store | None) -> NetworkDiagnostics | None:
    """The same figures of bicubic interpolation, on the same pictures; None where there are none."""
    pictures = first_pairs(store)
    if not pictures:
        return None
    method = UpscalingMethod(lambda small: BASELINES["bicubic"](small, scale), scale)
    values: dict[str, Any] = measure_method(method.function, scale, pictures)
    figures = {name: value for name, value in values.items() if isinstance(value, float)}
    return NetworkDiagnostics(figures, None, None, _spectrum(method, pictures))


def first_pairs(store: Store | None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """LR and HR, (3, h, w) and (3, H, W) uint8, of the first pictures."""
    if store is None:
        return []
    return [(_planes(store.lr(index)), _planes(store.hr(index))) for index in range(min(PICTURES, len(store)))]


def _spectrum(
    method: UpscalingMethod, pictures: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The mean over pictures; those that are too small for blocks of the largest size are left out."""
    told: list[np.ndarray] = []
    lines: list[np.ndarray] = []
    for lr, hr in pictures:
        target = (hr / 255).double()
        made = method.upscaled_luma(lr.float() / 255)[None]
        output, true = luma_pair(made, target, method.scale)
        frequencies, found = radial_profile(output, method.scale)
        lines.append(frequencies.numpy())
        told.append((10 * torch.log10(found / radial_profile(true, method.scale)[1])).numpy())
    longest = max(lines, key=len)
    kept = [decibels for decibels, line in zip(told, lines, strict=True) if len(line) == len(longest)]
    return longest, np.mean(kept, axis=0)


def _planes(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)


_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}

LEVELS = 2.0
"""The largest deviation on a constant that has a colour of its own, in levels of 255."""


@dataclass(frozen=True)
class DiagnosticsSection:
    """The table of the diagnostics, plots and small pictures, and by heading what a diagnostic's formula is."""

    table: Table | None = None
    plots: Sequence[Plot] = ()
    galleries: Sequence[Gallery] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)


def diagnostics_section(
    study: ReportedStudy, nets: Sequence[EncoderDecoder], store: Store | None, protocol: EvaluationProtocol
) -> DiagnosticsSection:
    """Of the first seed of every arm, with the first pictures of a store where there is one."""
    names = [entry.name for entry in study.entries]
    found = {name: diagnose_network(net, store, protocol) for name, net in zip(names, nets, strict=True)}
    baseline = diagnose_bicubic(nets[0].scale, store)
    listed = found | ({} if baseline is None else {"bicubic, no network": baseline})
    powers = {name: one.spectrum for name, one in listed.items() if one.spectrum is not None}
    drawn = []
    if powers:
        with optional_output("the report's plot of spectra"):
            svg = spectrum_plot(powers, names, nets[0].scale)
            drawn.append(Plot("spectra", "Spectra", svg, SPECTRA))
    galleries = []
    with optional_output("the report's images of responses"):
        galleries = [_impulses(found), _constants(found)]
    told = describe(next(iter(found.values())).figures)
    sources = {one["heading"]: f"{one['formula']}. {one['source']}" for one in told.values()}
    return DiagnosticsSection(_table(listed, store), drawn, galleries, sources)


def _table(found: Mapping[str, NetworkDiagnostics], store: Store | None) -> Table:
    keys = list(next(iter(found.values())).figures)
    told = describe(keys)
    headings = ["arm"]
    for key in keys:
        unit = "" if told[key]["unit"] == "1" else f" in {told[key]['unit']}"
        headings.append(f"{told[key]['heading']}{unit}{_ARROWS[told[key]['better']]}")
    made = [[Cell(name), *(_figure(one.figures.get(key)) for key in keys)] for name, one in found.items()]
    notes = ["↑: higher is better, ↓: lower is better; one trained network per arm, so that no interval is known."]
    if store is not None:
        notes.append(f"Those that look at pictures are means over {', '.join(store.names[:PICTURES])} of {store.name}.")
    title = "Diagnostics beyond PSNR and SSIM"
    return Table("diagnostics", title, headings, made, frozenset(range(1, len(headings))), notes)


def _figure(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(format_number(value), value)


def _impulses(found: Mapping[str, NetworkDiagnostics]) -> Gallery:
    kernels = {name: one.impulse for name, one in found.items() if one.impulse is not None}
    largest = max((float(np.abs(one).max()) for one in kernels.values()), default=0.0)
    tiles = [Tile(name, data_uri(transparent_gaps(tile_kernels(one), largest))) for name, one in kernels.items()]
    return Gallery("Impulse responses", IMPULSES.format(largest=largest), tiles)


def _constants(found: Mapping[str, NetworkDiagnostics]) -> Gallery:
    patterns = {name: one.constant for name, one in found.items() if one.constant is not None}
    tiles = []
    for name, one in patterns.items():
        times = max(1, 32 // len(one))
        apart = float(np.abs(one).max())
        picture = data_uri(diverging_colours(np.tile(one, (times, times)), LEVELS))
        tiles.append(Tile(f"{name}: up to {apart:.2g} levels", picture))
    return Gallery("Responses to a constant", CONSTANTS.format(levels=LEVELS), tiles)


SPECTRA = (
    "Radial power spectrum of Y beside that of HR: 0 dB has as much of a frequency as HR. It says nothing of whether "
    "the detail is the right one. Right of the dashed line is what LR does not hold."
)
IMPULSES = (
    "What one LR pixel, brighter than its neighbours, changes: a block per output phase, a square per LR pixel, 9 × 9 "
    "of them. Red adds, blue takes away, white is none; the strongest colour stands for ±{largest:.2g}. A network is "
    "not linear: with other pixels around it the response is another one."
)
CONSTANTS = (
    "A plain grey picture, enlarged, less its mean: whatever can be seen here, the network has made up. Red is "
    "lighter, blue darker, and the strongest colour stands for {levels:g} levels of 255 or more."
)
