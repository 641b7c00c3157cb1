"""All diagnostics of a network on a set of pictures."""

import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from upnet.data import Store
from upnet.data.datasets import StoreDataset
from upnet.evaluation.scoring import Method, check_protocol, prepare_pair
from upnet.imaging.colour import rounded_luma
from upnet.inference.tiling import Tiling
from upnet.metrics import EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT
from upnet.study.diagnostics.base import Case, Diagnostic, Sample, diagnostics
from upnet.study.diagnostics.methods import UpscalingMethod

Pairs = Store | Iterable[tuple[Tensor, Tensor]]
"""Pictures: a store, or pairs of LR (3, h, w) and HR (3, H, W), both uint8."""

Values = dict[str, float | list]
"""By the diagnostics' names; arrays are nested lists."""


def measure(
    net: EncoderDecoder,
    pictures: Pairs,
    protocol: EvaluationProtocol | None = None,
    size: tuple[int, int] = OUTPUT,
    only: Collection[str] | None = None,
    tile: Tiling = "auto",
) -> Values:
    """Every diagnostic of a network, on the device where it is; arithmetic on its outputs is float64 on the CPU.

    pictures: those over which the diagnostics that look at pictures are averaged. Infinite values, which pictures
              without any difference have, are left out of the mean, unless all are.
    protocol: which LR and which Y, see `upnet.metrics.EvaluationProtocol`; None is rgb8. The crop is always the
              scale, and grey pictures are colour ones of three equal channels.
    size:     (H, W) of the output that costs are told for, in pixels.
    only:     names of diagnostics, where not all of them are wanted: latency belongs on an idle machine.
    tile:     see `upnet.inference.tensor`; costs are those of the whole picture.

    Raises ValueError for names that no diagnostic has, for a protocol that the network can't be scored by, for no
    pictures where some are needed, and for pictures that are too small.
    """
    protocol = protocol or EvaluationProtocol()
    check_protocol(net, protocol)
    device, trains = next(net.parameters()).device, net.training
    net.eval()
    try:
        case = Case(UpscalingMethod.from_network(net, tile), net, size)
        return _measure(case, select_diagnostics(only), pictures, protocol, device)
    finally:
        net.train(trains)


def measure_method(
    method: Method,
    scale: int,
    pictures: Pairs,
    protocol: EvaluationProtocol | None = None,
    only: Collection[str] | None = None,
) -> Values:
    """The same for any other method, such as an interpolation, which has no costs; see `by_baseline`."""
    case = Case(UpscalingMethod(method, scale))
    wanted = [diagnostic for diagnostic in select_diagnostics(only) if not diagnostic.network_only]
    return _measure(case, wanted, pictures, protocol or EvaluationProtocol(), torch.device("cpu"))


def describe(names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """What has to stand beside the values, as plain data: heading, unit, better, formula and source, by name."""
    keys = ("heading", "unit", "better", "formula", "source")
    return {one.name: {key: getattr(one, key) for key in keys} for one in select_diagnostics(names)}


def select_diagnostics(names: Iterable[str] | None) -> list[Diagnostic]:
    """The diagnostics of these names, or all. Raises ValueError for a name that none has."""
    found = diagnostics()
    if names is None:
        return list(found.values())
    for name in (names := list(names)):
        if name not in found:
            close = difflib.get_close_matches(name, found, n=1)
            guess = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"there is no diagnostic {name!r}; {guess}there are {', '.join(found)}")
    return [one for name, one in found.items() if name in names]


def _measure(
    case: Case, wanted: Collection[Diagnostic], pictures: Pairs, protocol: EvaluationProtocol, device: torch.device
) -> Values:
    found: dict[str, Any] = {one.name: one.compute(case) for one in wanted if not one.per_image}
    each = [one for one in wanted if one.per_image]
    if each:
        told: dict[str, list[float]] = {one.name: [] for one in each}
        for name, lr, hr in _triples(pictures):
            try:
                sample = _sample(case.method, lr.to(device), hr.to(device), protocol)
                for one in each:
                    told[one.name].append(one.compute(replace(case, sample=sample)))
            except ValueError as fault:
                raise ValueError(f"{name}: {fault}") from fault
        found |= {name: _mean(values) for name, values in told.items()}
    # In the order of the registry, whatever was computed first.
    return {one.name: found[one.name] if one.scalar else found[one.name].tolist() for one in wanted}


def _triples(pictures: Pairs) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, LR and HR of each picture."""
    if isinstance(pictures, Store):
        items = StoreDataset(pictures)
        for index in tqdm(range(len(items)), pictures.name, unit="picture", leave=False, disable=None):
            item = items[index]
            yield item["name"], item["lr"], item["hr"]
    else:
        for number, (lr, hr) in enumerate(pictures, 1):
            yield f"picture {number}", lr, hr


@torch.no_grad()
def _sample(method: UpscalingMethod, lr: Tensor, hr: Tensor, protocol: EvaluationProtocol) -> Sample:
    small, target = prepare_pair(lr, hr, False, method.scale, protocol)
    if protocol.name == "y-float":
        target = rounded_luma(target) / 255
    return Sample(method.function(small), target, small)


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("diagnostics: some are means over pictures, and there are none; give one at least")
    finite = [value for value in values if not math.isinf(value)]
    return math.fsum(finite) / len(finite) if finite else math.inf


WIDTH = 110
_ARROWS = {"higher": "↑", "lower": "↓", None: ""}
# From ten thousand on: up to there a number is read as it stands.
_PREFIXES = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))


def print_table(title: str, values: Values, notes: list[str]) -> None:
    """A row per scalar diagnostic: value, unit, and which way is better."""
    console = Console(width=None if Console().is_terminal else WIDTH, highlight=False)
    console.print(title, style="bold", markup=False, emoji=False, soft_wrap=True)
    table = Table()
    table.add_column("diagnostic")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("better")
    for row in rows(values):
        table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(note, style="dim", markup=False, emoji=False, soft_wrap=True)


def rows(values: Values) -> list[list[str]]:
    """Heading, value, unit and direction of each scalar diagnostic, as a table has them."""
    told = describe(values)
    listed = []
    for name, value in values.items():
        if isinstance(value, float):
            better = told[name]["better"]
            unit = "–" if told[name]["unit"] == "1" else told[name]["unit"]
            listed.append(
                [told[name]["heading"], format_number(value), unit, f"{_ARROWS[better]} {better or '–'}".strip()]
            )
    return listed


def format_number(value: float) -> str:
    """Four digits that can be read: 0.7512, 3.1e-07, 1891, 88.31 k, inf, and – for what isn't a number."""
    if math.isnan(value):
        return "–"
    if math.isinf(value) or value == 0:
        return f"{value:.0f}"
    for start, size, prefix in _PREFIXES:
        if abs(value) >= start:
            return f"{value / size:.4g} {prefix}"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.4g}"


def as_json(values: Values) -> dict[str, Any]:
    """Values beside their units, directions, formulas and sources; inf is the word, as in results.json, nan is null."""
    told: Mapping[str, dict[str, Any]] = describe(values)
    return {name: {"value": _plain(value), **told[name]} for name, value in values.items()}


def _plain(value: float | list) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
