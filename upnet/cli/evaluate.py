"""The uses of evaluate.py: score checkpoints or interpolations, and put numbers taken before into one table."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console

from upnet.checkpoint import Loaded, export, load_network
from upnet.cli.app import refuse_other_scale
from upnet.config import build
from upnet.data import SRData, Store, build_store, open_sources
from upnet.evaluation.optional_output import optional_output
from upnet.evaluation.results import DatasetScores, read_results, results_content, write_csv, write_json
from upnet.evaluation.scoring import baseline_method, check_protocol, evaluate_method, evaluate_network
from upnet.evaluation.tables import print_comparison, print_results
from upnet.evaluation.tensorboard import Kept, keep_pictures, log_to_run
from upnet.inference.files import Outcome, UpscalingError, upscale_files
from upnet.inference.tiling import Tiling
from upnet.inference.upscaler import load
from upnet.metrics import EvaluationProtocol
from upnet.metrics.perceptual import PerceptualMetric, load_perceptual_metrics
from upnet.models.complexity import parameters
from upnet.study.detail_figure import draw_study
from upnet.study.report import assemble_report, write_report
from upnet.study.run_table import comparable_arms, print_study, read_study, study_content
from upnet.utils.allocator import INFERENCE_KERNELS, limit_onednn_cache, retain_malloc_blocks
from upnet.utils.device import device_name, pick_device
from upnet.utils.errors import InterruptedRunError, UserError
from upnet.utils.overrides import format_override, quote_for_shell, upnet_command
from upnet.utils.paths import as_list, display_path, expand_user
from upnet.utils.printable import escape_unprintable
from upnet.utils.provenance import versions


def evaluate_checkpoints(config: DictConfig) -> None:
    """PSNR and SSIM of one or several checkpoints on the test sets of `data`: tables, results.json, results.csv."""
    folder = Path(config.run_dir)
    protocol, device, measures = _conditions(config)
    checkpoints = [load_network(path, config.weights, as_list(config.trust)) for path in as_list(config.checkpoint)]
    for loaded in checkpoints:
        refuse_other_scale(config, loaded.net.scale, loaded.path)
        check_protocol(loaded.net, protocol)
    scales = sorted({loaded.net.scale for loaded in checkpoints})
    if len(scales) > 1 and not config.allow_mixed:
        raise ValueError(
            f"checkpoint= lists networks of the scales {scales}, which have no pictures in common; "
            "evaluate them one by one, or add allow_mixed=true to have their numbers marked"
        )
    names = run_names([loaded.path for loaded in checkpoints])
    contents: list[dict[str, Any]] = []
    kept: list[list[Kept]] = []
    for number, loaded in enumerate(checkpoints):
        own = folder if len(checkpoints) == 1 else folder / f"{number}-{names[number].replace('/', '-')}"
        kept.append([])
        contents.append(_score_checkpoint(config, loaded, names[number], protocol, device, measures, own, kept[-1]))
    with optional_output("the printed table"):
        if len(contents) == 1:
            print_results(contents[0])
        else:
            print_comparison(names, contents, config.allow_mixed)
    for loaded, content, pictures in zip(checkpoints, contents, kept, strict=True):
        with optional_output("TensorBoard's log of the evaluation"):
            log_to_run(loaded.path, content, pictures, folder)
    _written_to(folder)


def export_checkpoint(config: DictConfig) -> None:
    """Write the network of a checkpoint, by averaged or raw weights, to a safetensors file."""
    checkpoints = as_list(config.checkpoint)
    if len(checkpoints) != 1:
        raise ValueError(f"export= writes the network of one checkpoint; got {len(checkpoints)}")
    target = expand_user(config.export)
    loaded = load_network(checkpoints[0], config.weights, as_list(config.trust))
    refuse_other_scale(config, loaded.net.scale, loaded.path)
    export(loaded, target)
    command = f"{upnet_command('evaluate')} {format_override('checkpoint', display_path(target))}"
    print(f"Written to {quote_for_shell(display_path(target))}, {target.stat().st_size / 1e6:.2f} MB")
    print(f"Evaluate it              {command}")


def upscale_images(config: DictConfig) -> None:
    """Upscale an image, or the images of a folder, by one checkpoint, and print where the outputs are.

    Raises UserError for settings that don't fit, UpscalingError if some images failed, and InterruptedRunError after
    Ctrl-C; the images written by then are kept.
    """
    limit_onednn_cache(INFERENCE_KERNELS)
    checkpoints = as_list(config.checkpoint)
    if len(checkpoints) != 1:
        raise UserError("images are upscaled by one checkpoint", setting="checkpoint", value=checkpoints)
    device, trust = pick_device(config.device), as_list(config.trust)
    upscaler = load(checkpoints[0], config.weights, trust, "cpu", config.tile, config.ensemble, config.alpha).to(device)
    refuse_other_scale(config, upscaler.scale, checkpoints[0])
    output = None if config.output is None else expand_user(config.output)
    outcome = Outcome()
    try:
        upscale_files(upscaler, expand_user(config.input), output, config.max_pixels, outcome)
    except KeyboardInterrupt:
        message = f"Interrupted: {outcome.remaining} images were not upscaled. Those that are written are complete"
        raise InterruptedRunError(message, signal.SIGINT) from None
    finally:
        _print_outcome(outcome, upscaler.scale)
    if outcome.failed:
        remaining = f"\n{outcome.remaining} more were not tried" if outcome.remaining else ""
        raise UpscalingError(f"{len(outcome.failed)} could not be upscaled:\n" + "\n".join(outcome.failed) + remaining)


def evaluate_baseline(config: DictConfig) -> None:
    """PSNR and SSIM of an interpolation on the test sets of `data`: tables, results.json, results.csv."""
    folder = Path(config.run_dir)
    protocol, device, measures = _conditions(config)
    look = keep_pictures(folder / "images" if config.save_images else None, [])
    method = baseline_method(config.baseline, config.scale)
    tallies = evaluate_method(method, config.scale, device, _test_sets(config), protocol, look, measures)
    extra = {"method": {"kind": "baseline", "name": config.baseline, "precision": "float64"}, "scale": config.scale}
    content = _write(folder, list(tallies), protocol.describe(config.scale), extra, measures, device, None)
    with optional_output("the printed table"):
        print_results(content)
    _written_to(folder)


def compare_results(config: DictConfig) -> None:
    """One table of numbers that were taken before, or the table of a single results.json as it was printed then."""
    paths = [Path(path) for path in as_list(config.results)]
    paths = [path / "results.json" if path.is_dir() else path for path in paths]
    contents = [read_results(path) for path in paths]
    if len(contents) == 1:
        print_results(contents[0])
    else:
        print_comparison(_folder_names(paths), contents, config.allow_mixed)


def report_study(config: DictConfig) -> None:
    """A table across the runs of a study, the same details from every operator, and the report on all of it."""
    folder, trust = Path(config.study), as_list(config.trust)
    arms, unfinished = read_study(folder, trust, config.allow_mixed)
    write_json(study_content(arms), folder / "study.json")
    with optional_output("the printed table"):
        print_study(arms, unfinished)
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print()
    try:
        stores = _scored_pictures(arms[0].runs[0].results, config.data, config.max_pixels)
    except ValueError as fault:
        # A study may be reported on another machine than the one it ran on.
        console.print(f"The report has no pictures: {fault}")
        stores = {}
    if stores:
        with optional_output("the comparison image"):
            draw_study(comparable_arms(arms), stores, folder / "comparison.png", trust)
            console.print(f"Comparison image         {display_path(folder / 'comparison.png')}")
    write_report(assemble_report(folder, arms, unfinished, stores, trust, pick_device(config.device)), folder)
    console.print(
        f"The table as data       {display_path(folder / 'study.json')}\n"
        f"The report              {display_path(folder / 'report.html')}, and its tables in report.md and report.tex"
    )


def run_names(checkpoints: Sequence[Path]) -> list[str]:
    """The folders of the runs that checkpoints belong to, and the files' own names where that isn't enough."""
    names = [
        escape_unprintable(path.parent.parent.resolve().name if path.parent.name == "checkpoints" else path.stem)
        for path in checkpoints
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{name}/{escape_unprintable(path.stem)}" for name, path in zip(names, checkpoints, strict=True)]


def _scored_pictures(results: Mapping[str, Any], data: DictConfig, max_pixels: int | None) -> dict[str, Store]:
    """The pictures that a run was scored on, by data set. Raises ValueError where they aren't here any more."""
    if not {"scale", "val_root"} <= results.keys():
        raise ValueError("the results don't say where the pictures are that were scored")
    scale = int(results["scale"])
    sources = open_sources(results["val_root"], scale)
    rounded_up = bool(data.lr_rounded_up)
    return {
        name: build_store(one, scale, data.cache_dir, max_pixels=max_pixels, lr_rounded_up=rounded_up)
        for name, one in sources.items()
    }


def _conditions(config: DictConfig) -> tuple[EvaluationProtocol, torch.device, list[PerceptualMetric]]:
    """What is scored, where and by what else. Raises ValueError, before anything is scored, where it can't be."""
    # Pictures of all sizes come one after the other, and each would pay for touching its memory anew.
    retain_malloc_blocks()
    limit_onednn_cache(INFERENCE_KERNELS)
    protocol, device = EvaluationProtocol(**config.protocol), pick_device(config.device)
    names = as_list(config.perceptual)
    if names and protocol.name == "y-float":
        raise ValueError(
            f"perceptual={','.join(names)} are of colour pictures, and protocol=y-float has the Y plane only; "
            "take protocol=rgb8"
        )
    return protocol, device, load_perceptual_metrics(names, device)


def _score_checkpoint(
    config: DictConfig,
    loaded: Loaded,
    name: str,
    protocol: EvaluationProtocol,
    device: torch.device,
    measures: Sequence[PerceptualMetric],
    folder: Path,
    kept: list[Kept],
) -> dict[str, Any]:
    config.scale = loaded.net.scale
    look = keep_pictures(folder / "images" if config.save_images else None, kept)
    net = loaded.net.to(device).to(memory_format=torch.channels_last)
    tile: Tiling = config.tile
    tallies = list(evaluate_network(net, _test_sets(config), protocol, look, tile, config.ensemble, measures))
    extra = {
        "method": {"kind": "network", "name": name},
        "checkpoint": str(loaded.path),
        "model": loaded.config,
        "scale": loaded.net.scale,
        "parameters": parameters(loaded.net),
        "step": loaded.step,
        "weights": config.weights,
    }
    return _write(
        folder, tallies, protocol.describe(loaded.net.scale, config.ensemble), extra, measures, device, config.tile
    )


def _write(
    folder: Path,
    tallies: Sequence[DatasetScores],
    protocol: dict[str, Any],
    extra: dict[str, Any],
    measures: Sequence[PerceptualMetric],
    device: torch.device,
    tile: Tiling | None,
) -> dict[str, Any]:
    """results.json and results.csv; the content of the former comes back."""
    told = {
        "measures": {measure.name: measure.describe() for measure in measures},
        "device": device_name(device),
        "tile": tile,
        "versions": versions(),
    }
    content = results_content(tallies, protocol, {**extra, **told})
    folder.mkdir(parents=True, exist_ok=True)
    write_json(content, folder / "results.json")
    write_csv(content, folder / "results.csv")
    return content


def _test_sets(config: DictConfig) -> dict[str, Store]:
    data = build(config.data)
    assert isinstance(data, SRData)
    return data.test_sets()


def _print_outcome(outcome: Outcome, scale: int) -> None:
    """What is written, to stdout, and what the output formats don't keep, to stderr."""
    for remark, images in outcome.remarks.items():
        more = f" and {len(images) - 1} more, each" if len(images) > 1 else ""
        print(f"{escape_unprintable(str(images[0]))}{more} {remark}", file=sys.stderr)
    if outcome.written:
        count, first = len(outcome.written), escape_unprintable(str(outcome.written[0]))
        print(f"{count} image{'s' * (count > 1)}, ×{scale}: {first}{' …' * (count > 1)}")


def _folder_names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the folders' paths that tell them apart."""
    parts = [path.parent.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {path}" for number, path in enumerate(paths, 1)]


def _written_to(folder: Path) -> None:
    with optional_output("the last line"):
        Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print(
            f"\nWritten to {display_path(folder)}"
        )
