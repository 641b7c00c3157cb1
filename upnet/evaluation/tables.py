"""What a run tells its user: tables, and what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from upnet.evaluation.compatibility import brief, footings, footnote, footnote_with_remark, marked
from upnet.metrics import EvaluationProtocol, gain
from upnet.utils.overrides import format_override, quote_for_shell, upnet_command


def print_results(content: Mapping[str, Any]) -> None:
    """A table per data set, picture by picture: bicubic, what was scored, gain; PSNR in dB, SSIM and further measures.

    Below it stands what the numbers depend on.
    """
    console = Console(
        width=None if Console().is_terminal else 110 + 36 * len(content["measures"]), markup=False, emoji=False
    )
    method = content["method"]["name"] if content["method"]["kind"] == "baseline" else "network"
    measured = {"psnr": 2, "ssim": 4} | dict.fromkeys(content["measures"], 4)
    for name, dataset in content["datasets"].items():
        baseline = dataset["baseline"]["name"]
        alone = method == baseline
        table = Table(title=f"{name}  ({brief(content)})", title_justify="left", title_style="bold")
        table.add_column("picture", overflow="fold")
        for what in measured:
            for heading in [baseline] if alone else [baseline, method]:
                table.add_column(f"{heading} {what.upper()}", justify="right")
            if not alone:
                table.add_column("gain", justify="right")
        for image, score in dataset["images"].items():
            table.add_row(image, *_cells(score["baseline"], score, measured, alone))
        table.add_section()
        table.add_row("mean", *_cells(dataset["baseline"], dataset, measured, alone), style="bold")
        console.print(table)
        if "remark" in dataset:
            console.print(dataset["remark"])
        console.print(footnote(content, name), style="dim", highlight=False)


def print_side_by_side(names: Sequence[str], contents: Sequence[Mapping[str, Any]], mixed: bool = False) -> None:
    """A table per data set, a column per content beside bicubic: PSNR in dB / SSIM, and further measures.

    Raises ValueError where protocols or pictures differ, unless they may be `mixed`: then every column is marked with
    the number of its footing, which is told below the table.
    """
    grouped = footings(names, contents, mixed)
    measured = list(dict.fromkeys(name for content in contents for name in content["measures"]))
    wide = max(120, (20 + 9 * len(measured)) * (len(names) + 2))
    console = Console(width=None if Console().is_terminal else wide, markup=False, emoji=False)
    for dataset, groups in grouped.items():
        several = len({group for group in groups if group is not None}) > 1
        columns = _columns(dataset, names, contents, groups, several)
        title = "mixed protocols or pictures" if several else brief(contents[groups.index(0)])
        console.print(_side_by_side(dataset, columns, measured, title))
        notes: dict[tuple[str, str], list[str]] = {}
        for name, content, group in zip(names, contents, groups, strict=True):
            if group is not None:
                told = footnote_with_remark(content, dataset)
                told = f"{brief(content)}; {told}" if several else told
                notes.setdefault((f"[{group + 1}] " if several else "", told), []).append(name)
        for (mark, told), owners in notes.items():
            text = told if len(notes) == 1 else f"{mark}{', '.join(owners)}: {told}"
            console.print(text, style="dim", highlight=False)


def next_commands(folder: Path, config: DictConfig) -> None:
    """How to look at a run in TensorBoard, evaluate its checkpoint, and upscale a picture."""
    path = folder / "checkpoints" / "last.ckpt"
    print(
        f"\nPictures side by side   {quote_for_shell(shorten(folder / 'comparison.png'))}\n"
        f"Look at the training    tensorboard --logdir {quote_for_shell(shorten(folder))}"
    )
    if not path.is_file():
        return
    evaluate = [upnet_command("evaluate"), format_override("checkpoint", shorten(path))]
    trust = _trust(config)
    larger = ["input=photo.png", f"output=photo_x{config.scale}.png"]
    print(
        f"Score the checkpoint    {' '.join([*evaluate, *_pictures(config), *_protocol(config), *trust])}\n"
        f"Upscale a picture       {' '.join([*evaluate, *larger, *trust])}"
    )


def _pictures(config: DictConfig) -> list[str]:
    """The validation pictures, and how they are read, as arguments."""
    given = {
        "data.root": OmegaConf.select(config, "data.val_root"),
        "data.cache_dir": OmegaConf.select(config, "data.cache_dir"),
        "data.skip_broken": OmegaConf.select(config, "data.skip_broken") or None,
        "data.lr_rounded_up": OmegaConf.select(config, "data.lr_rounded_up") or None,
        "max_pixels": OmegaConf.select(config, "max_pixels"),
    }
    folder = ["data=folder"] if given["data.root"] is not None else []
    return folder + [format_override(name, value) for name, value in given.items() if value is not None]


def _trust(config: DictConfig) -> list[str]:
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
    modules = sorted(found)
    return [format_override("trust", modules if len(modules) > 1 else modules[0])] if modules else []


def _protocol(config: DictConfig) -> list[str]:
    """The settings of the protocol that aren't the default ones, as arguments."""
    default = asdict(EvaluationProtocol())
    changed = {str(key): value for key, value in config.protocol.items() if value != default[str(key)]}
    return [
        format_override("protocol" if key == "name" else f"protocol.{key}", value) for key, value in changed.items()
    ]


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


def _cells(
    baseline: Mapping[str, Any], network: Mapping[str, Any], measured: Mapping[str, int], alone: bool
) -> list[str]:
    cells = []
    for what, digits in measured.items():
        before, after = float(baseline[what]), float(network[what])
        cells.append(f"{before:.{digits}f}")
        if not alone:
            cells += [f"{after:.{digits}f}", f"{gain(before, after):+.{digits}f}"]
    return cells


def _columns(
    dataset: str,
    names: Sequence[str],
    contents: Sequence[Mapping[str, Any]],
    groups: Sequence[int | None],
    several: bool,
) -> list[tuple[str, Mapping[str, Any]]]:
    """Headings, and the data set's scores by content: bicubic once for every footing, then the contents."""
    listed: list[tuple[str, Mapping[str, Any]]] = []
    present = [
        (name, content["datasets"][dataset], group)
        for name, content, group in zip(names, contents, groups, strict=True)
        if group is not None
    ]
    for footing in sorted({group for _, _, group in present}):
        told = next(told for _, told, group in present if group == footing)
        baseline = {**told["baseline"], "images": {name: score["baseline"] for name, score in told["images"].items()}}
        listed.append((marked(told["baseline"]["name"], footing, several), baseline))
    return listed + [(marked(name, group, several), told) for name, told, group in present]


def _side_by_side(
    dataset: str, columns: Sequence[tuple[str, Mapping[str, Any]]], measured: Sequence[str], told: str
) -> Table:
    heading = " / ".join(["PSNR in dB", "SSIM", *(what.upper() for what in measured)])
    table = Table(title=f"{dataset}  ({heading}, {told})", title_justify="left", title_style="bold")
    table.add_column("picture", overflow="fold")
    for name, _ in columns:
        table.add_column(name, justify="right", overflow="fold")
    for image in dict.fromkeys(image for _, scores in columns for image in scores["images"]):
        table.add_row(image, *(_cell(scores["images"].get(image), measured) for _, scores in columns))
    table.add_section()
    table.add_row("mean", *(_cell(scores, measured) for _, scores in columns), style="bold")
    return table


def _cell(score: Mapping[str, Any] | None, measured: Sequence[str]) -> str:
    if score is None:
        return "–"
    further = (f"{float(score[what]):.4f}" if what in score else "–" for what in measured)
    return " / ".join([f"{float(score['psnr']):.2f}", f"{float(score['ssim']):.4f}", *further])
