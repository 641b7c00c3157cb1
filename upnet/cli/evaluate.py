"""`upnet evaluate` with checkpoint= or baseline=: evaluate on test sets, and export a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from upnet.checkpoint import Loaded, export, load_network
from upnet.cli.app import reject_other_scale
from upnet.config import build
from upnet.data import SRData, Store
from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.optional_output import optional_output
from upnet.evaluation.results import results_content, write_csv, write_json
from upnet.evaluation.scoring import baseline_method, check_protocol, evaluate_method, evaluate_network
from upnet.evaluation.tables import print_comparison, print_results
from upnet.evaluation.tensorboard import OutputImages, log_to_run
from upnet.metrics import EvaluationProtocol
from upnet.metrics.perceptual import PerceptualMetric, load_perceptual_metrics
from upnet.models.complexity import parameters
from upnet.utils.allocator import INFERENCE_KERNELS, limit_onednn_cache, retain_malloc_blocks
from upnet.utils.device import device_name, pick_device
from upnet.utils.errors import UserError
from upnet.utils.overrides import format_override, quote_for_shell, upnet_command
from upnet.utils.paths import as_list, display_path, expand_user
from upnet.utils.printable import escape_unprintable
from upnet.utils.provenance import versions


def evaluate_checkpoints(config: DictConfig) -> None:
    """Evaluate one or several checkpoints on the test sets of `data`; print a table, write results.json and .csv.

    Raises UserError, before anything is evaluated, for checkpoints that do not fit the settings or each other.
    """
    folder, setup = Path(config.run_dir), _Setup.from_config(config)
    checkpoints = [load_network(path, config.weights, as_list(config.trust)) for path in as_list(config.checkpoint)]
    for loaded in checkpoints:
        reject_other_scale(config, loaded.net.scale, loaded.path)
        check_protocol(loaded.net, setup.protocol)
    scales = sorted({loaded.net.scale for loaded in checkpoints})
    if len(scales) > 1 and not config.allow_mixed:
        raise UserError(
            f"checkpoint= lists networks of the scales {scales}, whose scores are not comparable",
            cure="Evaluate them one by one, or add allow_mixed=true to mark the columns",
        )
    names = run_names([loaded.path for loaded in checkpoints])
    contents: list[dict[str, Any]] = []
    outputs: list[OutputImages] = []
    for number, (loaded, name) in enumerate(zip(checkpoints, names, strict=True)):
        subfolder = folder if len(checkpoints) == 1 else folder / f"{number}-{name.replace('/', '-')}"
        outputs.append(OutputImages(subfolder / "images" if config.save_images else None))
        contents.append(_evaluate_checkpoint(config, setup, loaded, name, subfolder, outputs[-1]))
    with optional_output("the printed table"):
        if len(contents) == 1:
            print_results(contents[0])
        else:
            print_comparison(names, contents, config.allow_mixed)
    for loaded, content, images in zip(checkpoints, contents, outputs, strict=True):
        with optional_output("TensorBoard's log of the evaluation"):
            log_to_run(loaded.path, content, images.first, folder)
    _print_folder(folder)


def evaluate_baseline(config: DictConfig) -> None:
    """Evaluate an interpolation on the test sets of `data`; print a table, write results.json and results.csv."""
    folder, setup = Path(config.run_dir), _Setup.from_config(config)
    images = OutputImages(folder / "images" if config.save_images else None)
    method, sets = baseline_method(config.baseline, config.scale), build_test_sets(config, config.scale)
    scores = list(evaluate_method(method, config.scale, setup.device, sets, setup.protocol, images, setup.perceptual))
    extra = {"method": {"kind": "baseline", "name": config.baseline, "precision": "float64"}, "scale": config.scale}
    content = setup.write(folder, scores, setup.protocol.describe(config.scale), {**extra, "tile": None})
    with optional_output("the printed table"):
        print_results(content)
    _print_folder(folder)


def export_checkpoint(config: DictConfig) -> None:
    """Write the network of one checkpoint, with its averaged or raw weights, to a safetensors file."""
    checkpoints = as_list(config.checkpoint)
    if len(checkpoints) != 1:
        raise UserError(f"export= needs exactly one checkpoint; got {len(checkpoints)}", cure="Give checkpoint=PATH")
    target = expand_user(config.export)
    loaded = load_network(checkpoints[0], config.weights, as_list(config.trust))
    reject_other_scale(config, loaded.net.scale, loaded.path)
    export(loaded, target)
    command = f"{upnet_command('evaluate')} {format_override('checkpoint', display_path(target))}"
    print(f"Written to {quote_for_shell(display_path(target))}, {target.stat().st_size / 1e6:.2f} MB")
    print(f"Evaluate it              {command}")


def run_names(checkpoints: Sequence[Path]) -> list[str]:
    """Distinct names for checkpoints: the folders of their runs, followed by the file names if those are not distinct.

    >>> run_names([Path("runs/a/checkpoints/last.ckpt"), Path("runs/a/checkpoints/best.ckpt")])
    ['a/last', 'a/best']
    """
    names = [
        escape_unprintable(path.parent.parent.resolve().name if path.parent.name == "checkpoints" else path.stem)
        for path in checkpoints
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{name}/{escape_unprintable(path.stem)}" for name, path in zip(names, checkpoints, strict=True)]


def build_test_sets(config: DictConfig, scale: int) -> dict[str, Store]:
    """Test sets of the `data` component at a scale; the component is built without its training source."""
    node = OmegaConf.to_container(config.data, resolve=True, throw_on_missing=True)
    assert isinstance(node, dict)
    data = build({**node, "scale": scale, "train": None}, "data")
    assert isinstance(data, SRData)
    return data.test_sets()


@dataclass(frozen=True)
class _Setup:
    """Protocol, device and perceptual metrics, which all evaluations of a command share."""

    protocol: EvaluationProtocol
    device: torch.device
    perceptual: Sequence[PerceptualMetric]

    @classmethod
    def from_config(cls, config: DictConfig) -> "_Setup":
        """Raises UserError, before anything is evaluated, for a protocol, device or metric that cannot be used."""
        # Images have many sizes. Without these calls, memory would be mapped and kernels built for each size.
        retain_malloc_blocks()
        limit_onednn_cache(INFERENCE_KERNELS)
        protocol, device = EvaluationProtocol(**config.protocol), pick_device(config.device)
        names = as_list(config.perceptual)
        if names and protocol.name == "y-float":
            raise UserError(
                "perceptual metrics need colour images, and protocol=y-float evaluates the Y plane only",
                setting="perceptual",
                value=",".join(names),
                cure="Set protocol=rgb8",
            )
        return cls(protocol, device, load_perceptual_metrics(names, device))

    def write(
        self, folder: Path, scores: Sequence[DatasetScores], protocol: dict[str, Any], extra: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write results.json and results.csv, and return the content of results.json."""
        shared = {
            "measures": {metric.name: metric.describe() for metric in self.perceptual},
            "device": device_name(self.device),
            "tile": extra["tile"],
            "versions": versions(),
        }
        content = results_content(scores, protocol, {**extra, **shared})
        folder.mkdir(parents=True, exist_ok=True)
        write_json(content, folder / "results.json")
        write_csv(content, folder / "results.csv")
        return content


def _evaluate_checkpoint(
    config: DictConfig, setup: _Setup, loaded: Loaded, name: str, folder: Path, images: OutputImages
) -> dict[str, Any]:
    net = loaded.net.to(setup.device).to(memory_format=torch.channels_last)
    sets = build_test_sets(config, net.scale)
    scores = list(evaluate_network(net, sets, setup.protocol, images, config.tile, config.ensemble, setup.perceptual))
    extra = {
        "method": {"kind": "network", "name": name},
        "checkpoint": str(loaded.path),
        "model": loaded.config,
        "scale": net.scale,
        "parameters": parameters(net),
        "step": loaded.step,
        "weights": config.weights,
        "tile": config.tile,
    }
    return setup.write(folder, scores, setup.protocol.describe(net.scale, config.ensemble), extra)


def _print_folder(folder: Path) -> None:
    with optional_output("the line with the output folder"):
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        console.print(f"\nWritten to {display_path(folder)}")
