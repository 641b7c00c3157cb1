"""Tables of evaluation results, printed to the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from upnet.evaluation.compatibility import footnote, footnote_with_remark, group_label, protocol_groups, protocol_label
from upnet.metrics import gain


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
        table = Table(title=f"{name}  ({protocol_label(content)})", title_justify="left", title_style="bold")
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


def print_comparison(names: Sequence[str], contents: Sequence[Mapping[str, Any]], mixed: bool = False) -> None:
    """A table per data set, a column per content beside bicubic: PSNR in dB / SSIM, and further measures.

    Raises ValueError where protocols or pictures differ, unless they may be `mixed`: then every column is marked with
    the number of its footing, which is told below the table.
    """
    grouped = protocol_groups(names, contents, mixed)
    measured = list(dict.fromkeys(name for content in contents for name in content["measures"]))
    wide = max(120, (20 + 9 * len(measured)) * (len(names) + 2))
    console = Console(width=None if Console().is_terminal else wide, markup=False, emoji=False)
    for dataset, groups in grouped.items():
        several = len({group for group in groups if group is not None}) > 1
        columns = _columns(dataset, names, contents, groups, several)
        title = "mixed protocols or pictures" if several else protocol_label(contents[groups.index(0)])
        console.print(_side_by_side(dataset, columns, measured, title))
        notes: dict[tuple[str, str], list[str]] = {}
        for name, content, group in zip(names, contents, groups, strict=True):
            if group is not None:
                told = footnote_with_remark(content, dataset)
                told = f"{protocol_label(content)}; {told}" if several else told
                notes.setdefault((f"[{group + 1}] " if several else "", told), []).append(name)
        for (mark, told), owners in notes.items():
            text = told if len(notes) == 1 else f"{mark}{', '.join(owners)}: {told}"
            console.print(text, style="dim", highlight=False)


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
        listed.append((group_label(told["baseline"]["name"], footing, several), baseline))
    return listed + [(group_label(name, group, several), told) for name, told, group in present]


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
