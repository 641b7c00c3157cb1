"""Assembly of the report of a study from its runs, networks and images."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from upnet.data import Store
from upnet.evaluation.optional_output import optional_output
from upnet.inference.tensor import upscale_tensor
from upnet.metrics import EvaluationProtocol
from upnet.models import EncoderDecoder
from upnet.study.finished_runs import Arm
from upnet.study.matching import taps_by_location
from upnet.study.report.arms import ReportedStudy, reported_study
from upnet.study.report.commentary import study_limitations
from upnet.study.report.content import Report
from upnet.study.report.details import detail_views
from upnet.study.report.diagnostics_section import DiagnosticsSection, diagnostics_section
from upnet.study.report.sections import dataset_section
from upnet.study.report.summary import plan_table, settings_table, study_facts

LATENCY_INPUT = (120, 160)
"""Height and width of the LR image on which latency is measured, in pixels."""

WARM_UP, PASSES = 2, 7
"""Forward passes per network: those that are not counted, and those whose median is the latency."""


def assemble_report(
    folder: Path,
    arms: Sequence[Arm],
    unfinished: Sequence[Path],
    stores: Mapping[str, Store],
    device: torch.device | None = None,
) -> Report:
    """The report of a study. No checkpoint is read: arms hold their networks.

    folder:           of the study.
    arms, unfinished: as `read_study` returned them.
    stores:           the evaluated images by data set. Without them the report has no images and no spectra, and states
                      so.
    device:           where latency and diagnostics are measured, by default the CPU. The networks are moved there.

    Raises UserError as `reported_study` does.
    """
    device = device or torch.device("cpu")
    study = reported_study(folder, arms, unfinished)
    networks = [entry.arm.network.to(device).to(memory_format=torch.channels_last) for entry in study.entries]
    names = [entry.name for entry in study.entries]
    taps = dict(zip(names, map(taps_label, networks), strict=True))
    latencies = dict(zip(names, measure_latencies(networks), strict=True))
    results = study.entries[0].arm.runs[0].results
    shown_sets = {name: store for name, store in stores.items() if _is_evaluated(results, name, store)}
    diagnostics, details = DiagnosticsSection(), []
    with optional_output("the report's diagnostics"):
        store = next(iter(shown_sets.values()), None)
        diagnostics = diagnostics_section(study, networks, store, _protocol(results))
    if results["protocol"]["name"] == "rgb8":
        with optional_output("the report's image details"):
            details = detail_views(study.entries, networks, shown_sets)
    conditions = latency_conditions(device)
    return Report(
        title=study.name,
        lead=_lead(study),
        facts=study_facts(study, conditions),
        plan=plan_table(study, taps),
        settings=settings_table(study),
        sections=[dataset_section(study, name, taps, latencies, conditions) for name in results["datasets"]],
        limits=study_limitations(study),
        missing=[*study.missing, *_missing_images(results, stores, shown_sets)],
        details=details,
        galleries=diagnostics.galleries,
        diagnostics=diagnostics.table,
        diagnostic_plots=diagnostics.plots,
        definitions=diagnostics.definitions,
    )


def measure_latencies(networks: Sequence[EncoderDecoder]) -> list[float]:
    """The median milliseconds of each network for one LR image of `LATENCY_INPUT`, on its device, in float32.

    The networks alternate, so that other load on the machine slows all of them alike.
    """
    times: list[list[float]] = [[] for _ in networks]
    for number in range(WARM_UP + PASSES):
        for network, seconds in zip(networks, times, strict=True):
            elapsed = _forward_seconds(network)
            if number >= WARM_UP:
                seconds.append(elapsed)
    return [1000 * statistics.median(seconds) for seconds in times]


def latency_conditions(device: torch.device) -> str:
    """The conditions under which latency is measured, as the report states them.

    >>> torch.set_num_threads(1)
    >>> latency_conditions(torch.device("cpu"))
    'median of 7 forward passes on one 120×160 LR image, float32, CPU, 1 thread'
    """
    height, width = LATENCY_INPUT
    threads = torch.get_num_threads()
    processor = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {threads} thread{'' if threads == 1 else 's'}"
    )
    return f"median of {PASSES} forward passes on one {height}×{width} LR image, float32, {processor}"


def taps_label(network: EncoderDecoder) -> str:
    """The LR taps per output phase: "9"; "4, 9" if they differ between locations; "–" if their number is not fixed.

    >>> import upnet
    >>> taps_label(upnet.create_model("espcn", scale=2, upsampler="bilinear"))
    '16'
    """
    labels = ["–" if count is None else str(count) for counts in taps_by_location(network).values() for count in counts]
    return labels[0] if len(set(labels)) == 1 else ", ".join(labels) or "–"


def _forward_seconds(network: EncoderDecoder) -> float:
    device = next(network.parameters()).device
    lr = torch.full((network.channels, *LATENCY_INPUT), 0.5, device=device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    upscale_tensor(network, lr, tile="none")
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _lead(study: ReportedStudy) -> str:
    """The size of the study, the matching and the reference in one line."""
    runs = sum(len(entry.arm.runs) for entry in study.entries)
    seeds = sorted({len(entry.arm.runs) for entry in study.entries})
    per_arm = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{len(study.entries)} arms, {per_arm} {'seed' if per_arm == '1' else 'seeds'} per arm, {runs} trained "
        f"networks. Matching: {study.match_label}. Reference arm: {study.reference}."
    )


def _protocol(results: Mapping[str, Any]) -> EvaluationProtocol:
    protocol = results["protocol"]
    return EvaluationProtocol(**{key: protocol[key] for key in ("name", "channel", "grey") if key in protocol})


def _is_evaluated(results: Mapping[str, Any], name: str, store: Store) -> bool:
    """Whether a store holds the evaluated images.

    The hash of y-float results covers the HR images alone, and a store's covers HR and LR: there names are compared.
    """
    scores = results["datasets"].get(name)
    if scores is None or set(scores["images"]) != set(store.names):
        return False
    return results["protocol"]["name"] == "y-float" or scores["pictures"] == store.digest


def _missing_images(
    results: Mapping[str, Any], stores: Mapping[str, Store], shown_sets: Mapping[str, Store]
) -> list[str]:
    sentences = []
    for name in results["datasets"]:
        if name not in stores:
            sentences.append(f"The images of {name} are not on this machine and are not shown")
        elif name not in shown_sets:
            sentences.append(f"The images of {name} on this machine differ from the evaluated ones and are not shown")
    return sentences
