"""What a finished run writes: results.json, final log entries, the comparison image, and the next commands."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from upnet.config.schema import TrainSettings
from upnet.data import SRData
from upnet.evaluation.figures import draw_comparison
from upnet.evaluation.optional_output import optional_output
from upnet.evaluation.results import results_content, write_json
from upnet.evaluation.tables import print_results
from upnet.metrics import EvaluationProtocol
from upnet.models.complexity import parameters
from upnet.training.resume import COMPARISON, COMPARISON_ERROR
from upnet.training.task import Task
from upnet.utils.atomic_io import atomic_write, open_atomic
from upnet.utils.device import device_name
from upnet.utils.overrides import format_override, quote_for_shell, upnet_command
from upnet.utils.paths import display_path
from upnet.utils.provenance import versions
from upnet.utils.run_dirs import LAST

Config = Mapping[str, Any]
"""A resolved training config in plain dicts and lists."""


def finalize(settings: TrainSettings, task: Task, trainer: pl.Trainer, data: SRData, minutes: float) -> dict[str, Any]:
    """Write results.json, log and print the final scores, draw the comparison image, and return results.json's content.

    minutes: duration of the training.

    results.json is written first. A failure of any other output is only a warning. The comparison image marks the run
    as finished; if it cannot be drawn, the file COMPARISON_ERROR contains the reason instead.
    """
    scores = list(task.validation.scores["ema"].values())
    assert min((len(dataset.method) for dataset in scores), default=0) > 0, "a run ends with a validation"
    task.eval()
    folder = Path(settings.run_dir)
    parameter_count = parameters(task.net)
    device = trainer.strategy.root_device  # fit() has moved the task back to the CPU
    extra = {
        "method": {"kind": "network", "name": folder.name},
        "model": task.config,
        "scale": task.net.scale,
        "parameters": parameter_count,
        "step": task.global_step,
        "weights": "ema",
        "settings": task.settings,
        "seed": settings.seed,
        "val_root": data.val_root,
        "minutes": round(minutes, 3),
        "device": device_name(device),
        "tile": "auto",
        "raw": {name: dataset.to_dict() for name, dataset in task.validation.scores["raw"].items()},
        "versions": versions(),
    }
    content = results_content(scores, task.protocol.describe(task.net.scale), extra)
    if not trainer.is_global_zero:
        return content
    write_json(content, folder / "results.json")
    _log_summary(trainer, content, hyperparameters(asdict(settings), parameter_count), task.global_step)
    _draw(task, data, content, folder)
    with optional_output("the printed table"):
        print_results(content)
        print_next_commands(folder, asdict(settings))
    return content


def _log_summary(trainer: pl.Trainer, content: Mapping[str, Any], hparams: Mapping[str, Any], step: int) -> None:
    """Log the final scores and the hyperparameters, and close the loggers."""
    metrics = {
        f"final/{name}/{metric}": float(dataset[metric])
        for name, dataset in content["datasets"].items()
        for metric in ("psnr", "ssim")
    }
    for logger in trainer.loggers:
        with optional_output(f"the last entry of {type(logger).__name__}"):
            if isinstance(logger, TensorBoardLogger):
                _log_remarks(logger, content, step)
                logger.log_hyperparams(dict(hparams), metrics, step)
            else:  # log_hyperparams of other loggers has no argument for metrics
                logger.log_hyperparams(dict(hparams))
                logger.log_metrics(metrics, step)
            logger.finalize("success")  # closes the file and stops the thread


def _log_remarks(logger: TensorBoardLogger, content: Mapping[str, Any], step: int) -> None:
    """Log as text which images the means exclude, and which count as 100 dB."""
    for name, dataset in content["datasets"].items():
        if "remark" in dataset:
            logger.experiment.add_text(f"{name}/means", dataset["remark"], step)


def _draw(task: Task, data: SRData, content: Mapping[str, Any], folder: Path) -> None:
    """Draw the comparison image, or write why it cannot be drawn."""
    (folder / COMPARISON_ERROR).unlink(missing_ok=True)
    with optional_output("the comparison image") as status, torch.no_grad(), open_atomic(folder / COMPARISON) as file:
        draw_comparison(task.ema.net, data.val_sets(), content, file)
    if status.failure is not None:
        with optional_output(COMPARISON_ERROR):
            atomic_write(f"{status.failure}\n", folder / COMPARISON_ERROR)


def hyperparameters(config: Config, parameters: int) -> dict[str, str | int | float | bool]:
    """The settings that usually differ between runs, for TensorBoard's table of hyperparameters.

    parameters: number of parameters of the network.
    """
    model, data, optimizer = config["model"], config["data"], config["optimizer"]
    upsamplers = model["upsampler"] if isinstance(model["upsampler"], list) else [model["upsampler"]]
    return {
        "upsampler": ", ".join(map(_class_name, upsamplers)),
        "encoder": _class_name(model["encoder"]),
        "input": model["input"],
        "skip": model["skip"],
        "residual": model["residual"],
        "train": _class_name(data["train"]),
        "optimizer": _class_name(optimizer),
        "learning_rate": float(optimizer.get("lr", 0)),
        "batch_size": int(data["batch_size"]),
        "patch": int(data["patch"]),
        "scale": int(config["scale"]),
        "steps": int(config["steps"]),
        "seed": int(config["seed"]),
        "parameters": parameters,
    }


def print_next_commands(folder: Path, config: Config) -> None:
    """Print the commands that show a run in TensorBoard, evaluate its checkpoint and upscale an image with it."""
    path = folder / "checkpoints" / LAST
    print(
        f"\nComparison image         {quote_for_shell(display_path(folder / 'comparison.png'))}\n"
        f"Show the training        tensorboard --logdir {quote_for_shell(display_path(folder))}"
    )
    if not path.is_file():
        return
    evaluate = [upnet_command("evaluate"), format_override("checkpoint", display_path(path))]
    trust = _trust_arguments(config["model"])
    selection = [*_data_arguments(config), *_protocol_arguments(config)]
    files = ["input=photo.png", f"output=photo_x{config['scale']}.png"]
    print(
        f"Evaluate the checkpoint  {' '.join([*evaluate, *selection, *trust])}\n"
        f"Upscale an image         {' '.join([*evaluate, *files, *trust])}"
    )


def _data_arguments(config: Config) -> list[str]:
    """Arguments that select the validation images and how they are read."""
    data = config["data"]
    values = {
        "data.root": data.get("val_root"),
        "data.cache_dir": data.get("cache_dir"),
        "data.skip_broken": data.get("skip_broken") or None,
        "data.lr_rounded_up": data.get("lr_rounded_up") or None,
        "max_pixels": config.get("max_pixels"),
    }
    folder = ["data=folder"] if values["data.root"] is not None else []
    return folder + [format_override(name, value) for name, value in values.items() if value is not None]


def _protocol_arguments(config: Config) -> list[str]:
    """Arguments for the protocol settings that differ from the defaults."""
    default = asdict(EvaluationProtocol())
    changed = {key: value for key, value in config["protocol"].items() if value != default[key]}
    return [
        format_override("protocol" if key == "name" else f"protocol.{key}", value) for key, value in changed.items()
    ]


def _trust_arguments(model: Any) -> list[str]:
    """The `trust` argument that a checkpoint with classes from outside upnet needs; empty without such classes."""
    modules = sorted(_foreign_modules(model))
    return [format_override("trust", modules if len(modules) > 1 else modules[0])] if modules else []


def _foreign_modules(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_foreign_modules, node))
    if not isinstance(node, Mapping):
        return set()
    target = str(node.get("_target_", "upnet."))
    module = set() if target.startswith("upnet.") else {target.rpartition(".")[0]}
    return module.union(*map(_foreign_modules, node.values()))


def _class_name(node: Mapping[str, Any] | None) -> str:
    return "none" if node is None else str(node["_target_"]).rsplit(".", 1)[-1]
