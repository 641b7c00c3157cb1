"""From the runs of a study to the report's content."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from upnet.checkpoint import load_network
from upnet.data import Store
from upnet.evaluation.optional_output import optional_output
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.study.matching import support_sizes, upsamplers_by_location
from upnet.study.report.arms import ReportedStudy, reported_study
from upnet.study.report.commentary import study_limitations
from upnet.study.report.content import Report
from upnet.study.report.details import detail_views
from upnet.study.report.diagnostics_section import DiagnosticsSection, diagnostics_section
from upnet.study.report.sections import dataset_section
from upnet.study.report.summary import plan_table, settings_table, study_facts
from upnet.study.run_table import Arm

INPUT = (120, 160)
"""Height and width of the LR picture, in pixels."""

WARM_UP, PASSES = 2, 7


def measure_latencies(nets: Sequence[EncoderDecoder]) -> list[float]:
    """The median milliseconds of each network for one LR picture of `INPUT`, on the device where it lies, in float32.

    The networks take turns, so that whatever else the machine does slows all of them.
    """
    times: list[list[float]] = [[] for _ in nets]
    for turn in range(WARM_UP + PASSES):
        for net, own in zip(nets, times, strict=True):
            spent = _seconds(net)
            if turn >= WARM_UP:
                own.append(spent)
    return [1000 * statistics.median(own) for own in times]


def latency_conditions(device: torch.device) -> str:
    """What such a figure depends on, in words."""
    height, width = INPUT
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else _threads()
    return f"median of {PASSES} passes over one {height}×{width} LR picture, float32, {where}, when this was written"


def _threads() -> str:
    count = torch.get_num_threads()
    return f"CPU, {count} thread{'' if count == 1 else 's'}"


def _seconds(net: EncoderDecoder) -> float:
    device = next(net.parameters()).device
    lr = torch.full((net.channels, *INPUT), 0.5, device=device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    upscale_tensor(net, lr, tile="none")
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def assemble_report(
    folder: Path,
    arms: Sequence[Arm],
    unfinished: Sequence[Path],
    stores: Mapping[str, Store],
    trust: Sequence[str] = (),
    device: torch.device | None = None,
) -> Report:
    """The report of a study, as `read_study` has read it.

    stores: the pictures it was scored on, by data set; without them the report has no pictures and no spectra, and
            says so.
    trust:  modules beside upnet whose classes the checkpoints may build.
    device: where networks are timed and looked at, the CPU where nothing is said.
    """
    device = device or torch.device("cpu")
    study = reported_study(folder, arms, unfinished)
    loaded = [load_network(entry.arm.runs[0].checkpoint, trust=trust) for entry in study.entries]
    nets = [one.net.to(device).to(memory_format=torch.channels_last) for one in loaded]
    taps = {entry.name: tap_counts_label(net) for entry, net in zip(study.entries, nets, strict=True)}
    timed = dict(zip([entry.name for entry in study.entries], measure_latencies(nets), strict=True))
    first = study.entries[0].arm.runs[0].results
    sets = {name: store for name, store in stores.items() if _same(first, name, store)}
    missing = [*study.missing, *_unseen(first, stores, sets)]
    told, shown = DiagnosticsSection(), []
    with optional_output("the report's diagnostics"):
        told = diagnostics_section(study, nets, next(iter(sets.values()), None), _protocol(first))
    if first["protocol"]["name"] == "rgb8":
        with optional_output("the report's details side by side"):
            shown = detail_views(study.entries, nets, sets)
    return Report(
        title=study.name,
        lead=_lead(study),
        facts=study_facts(study, latency_conditions(device)),
        plan=plan_table(study, taps),
        settings=settings_table(study),
        sections=[dataset_section(study, name, taps, timed, latency_conditions(device)) for name in first["datasets"]],
        limits=study_limitations(study),
        missing=missing,
        details=shown,
        galleries=told.galleries,
        diagnostics=told.table,
        diagnostic_plots=told.plots,
        definitions=told.definitions,
    )


def tap_counts_label(net: EncoderDecoder) -> str:
    """LR taps per output phase, `9`, or place by place where they differ, `4, 9`."""
    counts = [count for operators in upsamplers_by_location(net).values() for count in support_sizes(operators)]
    told = ["–" if count is None else str(count) for count in counts]
    return told[0] if len(set(told)) == 1 else ", ".join(told) or "–"


def _lead(study: ReportedStudy) -> str:
    runs = sum(len(entry.arm.runs) for entry in study.entries)
    seeds = sorted({len(entry.arm.runs) for entry in study.entries})
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    plural = "seed" if each == "1" else "seeds"
    return (
        f"{len(study.entries)} arms, {each} {plural} each, {runs} trainings. Matching: {study.match_label}. "
        f"The reference is {study.reference}."
    )


def _protocol(results: Mapping[str, Any]) -> EvaluationProtocol:
    told = results["protocol"]
    return EvaluationProtocol(**{key: told[key] for key in ("name", "channel", "grey") if key in told})


def _same(results: Mapping[str, Any], name: str, store: Store) -> bool:
    """Whether these are the pictures that were scored; under y-float only their names are compared."""
    told = results["datasets"].get(name)
    if told is None or set(told["images"]) != set(store.names):
        return False
    return results["protocol"]["name"] == "y-float" or told["pictures"] == store.digest


def _unseen(results: Mapping[str, Any], stores: Mapping[str, Store], sets: Mapping[str, Store]) -> list[str]:
    told = []
    for name in results["datasets"]:
        if name not in stores:
            told.append(f"The pictures of {name} are not on this machine, so the report shows none of them")
        elif name not in sets:
            told.append(f"The pictures of {name} on this machine are others than the scored ones, and are not shown")
    return told
