"""The uses of evaluate.py: score checkpoints, and compare the runs of a study."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from upnet.checkpoint import Loaded, load_network
from upnet.config import build
from upnet.data import DataModule, open_sets
from upnet.data import build as build_store
from upnet.figures import to_uint8
from upnet.metrics import Protocol
from upnet.report import print_results, shorten
from upnet.results import results, write_csv, write_json
from upnet.scoring import Look, score_sets
from upnet.study.cost import parameters
from upnet.study.picture import draw_study
from upnet.study.table import print_study, read_study, rows
from upnet.versions import versions

SHOWN = 8
"""How many output pictures of an evaluation go to TensorBoard."""

Kept = tuple[str, str, np.ndarray]
"""Data set, picture, and its output, (H, W, 3) uint8."""


def listed(value: Any) -> list[str]:
    """A setting that is one name, a list of them, or null."""
    return [] if value is None else [value] if isinstance(value, str) else [str(one) for one in value]


def pick_device(name: str) -> torch.device:
    """The device of that name; auto is a GPU where there is one. Raises ValueError where there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as fault:
        raise ValueError(
            f"device={name} can't be used here ({str(fault).splitlines()[0]}); take auto or cpu"
        ) from fault
    return device


def score_checkpoints(config: DictConfig) -> None:
    """PSNR and SSIM of one or several checkpoints on the test sets of `data`: tables, results.json, results.csv."""
    folder = Path(config.run_dir)
    device = pick_device(config.device)
    checkpoints = [load_network(path, config.weights, listed(config.trust)) for path in listed(config.checkpoint)]
    scales = sorted({loaded.net.scale for loaded in checkpoints})
    if len(scales) > 1:
        raise ValueError(
            f"checkpoint= lists networks of the scales {scales}, which have no pictures in common; "
            "evaluate them one by one"
        )
    names = run_names([loaded.path for loaded in checkpoints])
    contents: list[dict[str, Any]] = []
    kept: list[list[Kept]] = []
    for number, loaded in enumerate(checkpoints):
        own = folder if len(checkpoints) == 1 else folder / f"{number}-{names[number].replace('/', '-')}"
        own.mkdir(parents=True, exist_ok=True)
        kept.append([])
        contents.append(_score(config, loaded, device, own, kept[-1]))
    if len(contents) == 1:
        print_results(contents[0])
    else:
        print_side_by_side(names, contents)
    for loaded, content, pictures in zip(checkpoints, contents, kept, strict=True):
        beside_run(loaded, content, pictures, folder)
    Console(highlight=False, soft_wrap=True).print(f"\nWritten to {shorten(folder)}")


def _score(config: DictConfig, loaded: Loaded, device: torch.device, folder: Path, kept: list[Kept]) -> dict[str, Any]:
    config.scale = loaded.net.scale
    data = build(config.data)
    assert isinstance(data, DataModule)
    protocol = Protocol(**config.protocol)
    look = _keep(folder / "images" if config.save_images else None, kept)
    net = loaded.net.to(device).to(memory_format=torch.channels_last)
    tallies = list(score_sets(net, data.test_sets(), protocol, look))
    extra = {
        "checkpoint": str(loaded.path),
        "model": loaded.config,
        "scale": loaded.net.scale,
        "parameters": parameters(loaded.net),
        "step": loaded.step,
        "weights": config.weights,
        "versions": versions(),
    }
    content = results(tallies, protocol.describe(loaded.net.scale), extra)
    write_json(content, folder / "results.json")
    write_csv(content, folder / "results.csv")
    return content


def _keep(folder: Path | None, kept: list[Kept]) -> Look:
    """Save every output picture below the folder, if there is one; keep the first ones for TensorBoard."""

    def keep(dataset: str, name: str, output: Tensor) -> None:
        picture = to_uint8(output.expand(3, -1, -1))
        if len(kept) < SHOWN:
            kept.append((dataset, name, picture))
        if folder is not None:
            path = folder / dataset / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)

    return keep


def run_names(checkpoints: Sequence[Path]) -> list[str]:
    """The folders of the runs that checkpoints belong to, and the files' own names where that isn't enough."""
    names = [
        path.parent.parent.resolve().name if path.parent.name == "checkpoints" else path.stem for path in checkpoints
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{name}/{path.stem}" for name, path in zip(names, checkpoints, strict=True)]


def beside_run(loaded: Loaded, content: dict[str, Any], kept: Sequence[Kept], folder: Path) -> None:
    """Numbers and pictures into TensorBoard beside the run they belong to; in `folder` where there is no such run."""
    from torch.utils.tensorboard import SummaryWriter

    run = loaded.path.parent.parent
    writable = loaded.path.parent.name == "checkpoints" and os.access(run / "tensorboard", os.W_OK)
    with SummaryWriter(str((run if writable else folder) / "tensorboard" / "evaluation")) as writer:
        for name, told in content["datasets"].items():
            for what in ("psnr", "ssim"):
                writer.add_scalar(f"evaluation/{name}/{what}", float(told[what]), loaded.step)
                writer.add_scalar(f"evaluation/{name}/{what}_bicubic", float(told["baseline"][what]), loaded.step)
        for dataset, name, picture in kept:
            writer.add_image(f"evaluation/{dataset}/{name}", picture, loaded.step, dataformats="HWC")


def print_side_by_side(names: Sequence[str], contents: Sequence[dict[str, Any]]) -> None:
    """One table per data set, a column per checkpoint. Raises ValueError where protocols or pictures differ."""
    console = Console(width=None if Console().is_terminal else 120)
    first = contents[0]
    for name, other in zip(names[1:], contents[1:], strict=True):
        if other["protocol"] != first["protocol"]:
            raise ValueError(
                f"{names[0]} and {name} are scored by different protocols, and their numbers don't belong into one "
                "table; evaluate them one by one"
            )
    protocol = first["protocol"]
    told = f"PSNR in dB / SSIM, ×{protocol['scale']}, {protocol['name']}, channel {protocol['channel']}"
    for dataset, own in first["datasets"].items():
        table = Table(title=f"{dataset}  ({told})", title_justify="left", title_style="bold")
        for heading in ("picture", "bicubic", *names):
            table.add_column(heading, justify="left" if heading == "picture" else "right", overflow="fold")
        for image, score in own["images"].items():
            networks = [content["datasets"][dataset]["images"][image] for content in contents]
            table.add_row(image, *(_cell(one) for one in (score["baseline"], *networks)))
        table.add_section()
        means = [content["datasets"][dataset] for content in contents]
        table.add_row("mean", *(_cell(one) for one in (own["baseline"], *means)), style="bold")
        console.print(table)


def _cell(score: dict[str, Any]) -> str:
    return f"{float(score['psnr']):.2f} / {float(score['ssim']):.4f}"


def compare_study(config: DictConfig) -> None:
    """A table across the runs of a study, and a picture with the same detail from every operator."""
    folder, trust = Path(config.study), listed(config.trust)
    arms, unfinished = read_study(folder, trust)
    print_study(arms, unfinished)
    first = arms[0].runs[0].results
    sets = open_sets(first["val_root"], int(first["scale"]))
    stores = {name: build_store(source, int(first["scale"]), config.data.cache_dir) for name, source in sets.items()}
    draw_study(arms, stores, folder / "comparison.png", trust)
    write_json({name: rows(arms, name) for name in first["datasets"]}, folder / "study.json")
    Console(highlight=False, soft_wrap=True).print(
        f"\nPictures side by side   {shorten(folder / 'comparison.png')}\n"
        f"The table as data       {shorten(folder / 'study.json')}"
    )
