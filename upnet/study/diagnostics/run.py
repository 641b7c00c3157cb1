"""Computing the diagnostics of a network on a set of images, and their table."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from upnet.data import Store
from upnet.data.datasets import StoreDataset
from upnet.evaluation.scoring import Method, check_protocol, prepare_pair
from upnet.evaluation.tables import table_console
from upnet.imaging.colour import rounded_luma
from upnet.inference.tiling import Tiling
from upnet.metrics import EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE
from upnet.study.diagnostics.base import Case, Diagnostic, Sample, diagnostics
from upnet.study.diagnostics.methods import UpscalingMethod
from upnet.utils.errors import UserError, did_you_mean, join_or

ImagePairs = Store | Iterable[tuple[Tensor, Tensor]]
"""A store of images, or pairs of LR (3, h, w) and HR (3, H, W), both uint8."""

Values = dict[str, float | list]
"""Value by name of the diagnostic; arrays are nested lists."""


def measure(
    net: EncoderDecoder,
    images: ImagePairs,
    protocol: EvaluationProtocol | None = None,
    size: tuple[int, int] = OUTPUT_SIZE,
    only: Collection[str] | None = None,
    tile: Tiling = "auto",
) -> Values:
    """The diagnostics of a network. The network runs on its device, the outputs are analysed in float64 on the CPU.

    images:   for the diagnostics that are averaged over images. Infinite values, which occur where two images are
              equal, are excluded from the mean unless all are infinite.
    protocol: determines LR and luma, see `upnet.metrics.EvaluationProtocol`; None is rgb8. The crop is always the
              scale, and grey images are RGB images of three equal channels.
    size:     (H, W), the output size in pixels for costs.
    only:     names of the diagnostics to compute; None for all. Latency should be measured on an idle machine.
    tile:     see `upnet.inference.tensor`; costs are measured without tiles.

    Raises UserError for unknown names, a protocol that does not suit the network, missing images, and images that are
    too small.

    >>> from upnet.models.presets import create_model
    >>> measure(create_model("espcn", scale=2, channels=1), [], only=["parameters"])
    {'parameters': 21284.0}
    """
    protocol = protocol or EvaluationProtocol()
    check_protocol(net, protocol)
    device, was_training = next(net.parameters()).device, net.training
    net.eval()
    try:
        case = Case(UpscalingMethod.from_network(net, tile), net, size)
        return _measure(case, select_diagnostics(only), images, protocol, device)
    finally:
        net.train(was_training)


def measure_method(
    method: Method,
    scale: int,
    images: ImagePairs,
    protocol: EvaluationProtocol | None = None,
    only: Collection[str] | None = None,
) -> Values:
    """The diagnostics of another method, such as an interpolation, without costs. Arguments are those of `measure`.

    >>> from upnet.evaluation.scoring import baseline_method
    >>> measure_method(baseline_method("bicubic", 2), 2, [], only=["step_overshoot"])
    {'step_overshoot': 7.03125}
    """
    case = Case(UpscalingMethod(method, scale))
    selected = [diagnostic for diagnostic in select_diagnostics(only) if not diagnostic.network_only]
    return _measure(case, selected, images, protocol or EvaluationProtocol(), torch.device("cpu"))


def describe(names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """The declarations of diagnostics by name, as plain data: heading, unit, better, formula and source.

    >>> describe(["step_rise"])["step_rise"]["unit"]
    'px'
    """
    keys = ("heading", "unit", "better", "formula", "source")
    selected = select_diagnostics(names)
    return {diagnostic.name: {key: getattr(diagnostic, key) for key in keys} for diagnostic in selected}


def select_diagnostics(names: Iterable[str] | None) -> list[Diagnostic]:
    """The diagnostics with these names; all for None. Raises UserError for an unknown name."""
    known = diagnostics()
    if names is None:
        return list(known.values())
    for name in (names := list(names)):
        if name not in known:
            raise UserError(f"there is no diagnostic {name}", allowed=join_or(known), cure=did_you_mean(name, known))
    return [diagnostic for name, diagnostic in known.items() if name in names]


def _measure(
    case: Case, selected: Collection[Diagnostic], images: ImagePairs, protocol: EvaluationProtocol, device: torch.device
) -> Values:
    values: dict[str, Any] = {entry.name: entry.compute(case) for entry in selected if not entry.per_image}
    averaged = [diagnostic for diagnostic in selected if diagnostic.per_image]
    if averaged:
        by_image: dict[str, list[float]] = {diagnostic.name: [] for diagnostic in averaged}
        for name, lr, hr in _named_pairs(images):
            try:
                sample = _sample(case.method, lr.to(device), hr.to(device), protocol)
                for diagnostic in averaged:
                    by_image[diagnostic.name].append(diagnostic.compute(replace(case, sample=sample)))
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
        values |= {name: _mean(numbers) for name, numbers in by_image.items()}
    return {entry.name: values[entry.name] if entry.scalar else values[entry.name].tolist() for entry in selected}


def _named_pairs(images: ImagePairs) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, LR and HR of each image."""
    if isinstance(images, Store):
        items = StoreDataset(images)
        for index in tqdm(range(len(items)), images.name, unit="image", leave=False, disable=None):
            item = items[index]
            yield item["name"], item["lr"], item["hr"]
    else:
        for number, (lr, hr) in enumerate(images, 1):
            yield f"image {number}", lr, hr


@torch.no_grad()
def _sample(method: UpscalingMethod, lr: Tensor, hr: Tensor, protocol: EvaluationProtocol) -> Sample:
    lr, target = prepare_pair(lr, hr, False, method.scale, protocol)
    if protocol.name == "y-float":
        target = rounded_luma(target) / 255
    return Sample(method.function(lr), target, lr)


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise UserError("there are no images to average over", cure="Give at least one image")
    finite = [value for value in values if not math.isinf(value)]
    return math.fsum(finite) / len(finite) if finite else math.inf


WIDTH = 110
"""Of the table in characters, where the output is no terminal."""

_ARROWS = {"higher": "↑", "lower": "↓", None: ""}
# Smallest value, unit and prefix. Numbers below ten thousand have no prefix.
_PREFIXES = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))


def print_table(title: str, values: Values, notes: list[str]) -> None:
    """Print a table with a row per scalar diagnostic: value, unit and better direction. The notes follow."""
    console = table_console(WIDTH, highlight=False)
    console.print(title, style="bold", soft_wrap=True)
    table = Table()
    table.add_column("diagnostic")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("better")
    for row in rows(values):
        table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(note, style="dim", soft_wrap=True)


def rows(values: Values) -> list[list[str]]:
    """Heading, value, unit and better direction of each scalar diagnostic.

    >>> rows({"step_rise": 1.7543})
    [['step rise 10–90 %', '1.754', 'px', '↓ lower']]
    """
    declarations = describe(values)
    table_rows = []
    for name, value in values.items():
        if isinstance(value, float):
            declaration = declarations[name]
            unit = "–" if declaration["unit"] == "1" else declaration["unit"]
            direction = f"{_ARROWS[declaration['better']]} {declaration['better'] or '–'}".strip()
            table_rows.append([declaration["heading"], format_number(value), unit, direction])
    return table_rows


def format_number(value: float) -> str:
    """A number with four digits, and – for NaN.

    >>> [format_number(value) for value in (0.75123, 3.14e-7, 88310.0, math.inf, math.nan)]
    ['0.7512', '3.1e-07', '88.31 k', 'inf', '–']
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value) or value == 0:
        return f"{value:.0f}"
    for start, size, prefix in _PREFIXES:
        if abs(value) >= start:
            return f"{value / size:.4g} {prefix}"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.4g}"


def as_json(values: Values) -> dict[str, Any]:
    """Values with their declarations as JSON: infinity is the string "inf", as in results.json, and NaN is null."""
    declarations = describe(values)
    return {name: {"value": _json_value(value), **declarations[name]} for name, value in values.items()}


def _json_value(value: float | list) -> Any:
    if isinstance(value, list):
        return [_json_value(part) for part in value]
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
