"""What a finished training leaves beside its numbers: hyperparameters for the loggers, and the commands to run next."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from upnet.metrics import EvaluationProtocol
from upnet.utils.overrides import format_override, quote_for_shell, upnet_command
from upnet.utils.paths import display_path

Config = Mapping[str, Any]
"""A resolved training config in plain dicts and lists."""


def hyperparameters(config: Config, parameters: int) -> dict[str, str | int | float | bool]:
    """Values that distinguish runs in TensorBoard's hparams table."""
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
    """Print the commands that open a run in TensorBoard, evaluate its checkpoint and upscale an image with it."""
    path = folder / "checkpoints" / "last.ckpt"
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
