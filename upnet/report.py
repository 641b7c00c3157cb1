"""What a run tells its user: a table, and what to do next."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from upnet.metrics import Protocol


def print_results(content: Mapping[str, Any]) -> None:
    """A table per data set, picture by picture: bicubic, network, gain; PSNR in dB and SSIM."""
    console = Console(width=None if Console().is_terminal else 110)
    protocol = content["protocol"]
    told = f"×{protocol['scale']}, {protocol['name']}, channel {protocol['channel']}, crop {protocol['crop']}"
    for name, dataset in content["datasets"].items():
        table = Table(title=f"{name}  ({told})", title_justify="left", title_style="bold")
        table.add_column("picture")
        for heading in ("bicubic PSNR", "network PSNR", "gain", "bicubic SSIM", "network SSIM", "gain"):
            table.add_column(heading, justify="right")
        for image, score in dataset["images"].items():
            table.add_row(image, *_cells(score["baseline"], score))
        table.add_section()
        table.add_row("mean", *_cells(dataset["baseline"], dataset), style="bold")
        console.print(table)
        if "remark" in dataset:
            console.print(dataset["remark"])


def next_commands(folder: Path, config: DictConfig) -> None:
    """How to look at a run in TensorBoard, evaluate its checkpoint, and upscale a picture."""
    path = folder / "checkpoints" / "last.ckpt"
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"\nPictures side by side   {shorten(folder / 'comparison.png')}\n"
        f"Look at the training    tensorboard --logdir {shlex.quote(str(shorten(folder)))}"
    )
    if not path.is_file():
        return
    last = shlex.quote(str(shorten(path)))
    roots = OmegaConf.select(config, "data.val_root")
    data = "" if roots is None else " data=folder " + shlex.quote(f"data.root={_plain_list(roots)}")
    trust, protocol = _trust(config), _protocol(config)
    console.print(
        f"Score the checkpoint    python evaluate.py checkpoint={last}{data}{protocol}{trust}\n"
        f"Upscale a picture       python evaluate.py checkpoint={last} input=photo.png "
        f"output=photo_x{config.scale}.png{trust}"
    )


def _trust(config: DictConfig) -> str:
    """What a checkpoint with operators from outside needs, beside its path."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, Mapping):
            target = str(node.get("_target_", "upnet."))
            if not target.startswith("upnet."):
                found.add(target.rpartition(".")[0])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(OmegaConf.to_container(config.model, resolve=True))
    return f" 'trust=[{','.join(sorted(found))}]'" if len(found) > 1 else f" trust={found.pop()}" if found else ""


def _protocol(config: DictConfig) -> str:
    """The settings of the protocol that aren't the default ones, as arguments."""
    default = asdict(Protocol())
    return "".join(f" protocol.{key}={value}" for key, value in config.protocol.items() if value != default[str(key)])


def hyperparameters(config: DictConfig, parameters: int) -> dict[str, str | int | float | bool]:
    """What distinguishes runs in TensorBoard's hparams table."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    model, data, optimizer = plain["model"], plain["data"], plain["optimizer"]
    upsamplers = model["upsampler"] if isinstance(model["upsampler"], list) else [model["upsampler"]]
    return {
        "upsampler": ", ".join(_short(one) for one in upsamplers),
        "encoder": _short(model["encoder"]),
        "input": model["input"],
        "skip": model["skip"],
        "residual": model["residual"],
        "train": _short(data["train"]),
        "optimizer": _short(optimizer),
        "learning_rate": float(optimizer.get("lr", 0)),
        "batch_size": int(data["batch_size"]),
        "patch": int(data["patch"]),
        "scale": int(plain["scale"]),
        "steps": int(plain["steps"]),
        "seed": int(plain["seed"]),
        "parameters": parameters,
    }


def shorten(path: Path) -> Path:
    """Relative to where the user stands, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


def _short(node: Mapping[str, Any] | None) -> str:
    return "none" if node is None else str(node["_target_"]).rsplit(".", 1)[-1]


def _plain_list(roots: Any) -> str:
    return roots if isinstance(roots, str) else "[" + ",".join(roots) + "]"


def _cells(baseline: Mapping[str, Any], network: Mapping[str, Any]) -> list[str]:
    cells = []
    for what, digits in (("psnr", 2), ("ssim", 4)):
        before, after = float(baseline[what]), float(network[what])
        cells += [f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after - before:+.{digits}f}"]
    return cells
