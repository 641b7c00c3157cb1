"""Tables of evaluation results, printed to the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from upnet.evaluation.compatibility import (
    Content,
    footnote,
    footnote_with_remark,
    group_label,
    protocol_groups,
    protocol_label,
)
from upnet.metrics import gain

ScoreDict = Mapping[str, Any]
"""Values by name of the metric, as results.json holds them for an image or as means for a data set."""


def table_console(width: int, highlight: bool = True) -> Console:
    """A console that prints names literally, and as wide as the terminal. Elsewhere it is `width` characters wide."""
    return Console(width=None if Console().is_terminal else width, markup=False, emoji=False, highlight=highlight)


def print_results(content: Content) -> None:
    """Print a table per data set: bicubic, method and gain for each image and each metric; PSNR is in dB.

    The remark and the footnote of the data set follow. If bicubic is the method, it is printed once and without gains.

    content: of results.json.
    """
    console = table_console(110 + 36 * len(content["measures"]))
    method = content["method"]["name"] if content["method"]["kind"] == "baseline" else "network"
    digits = {"psnr": 2, "ssim": 4} | dict.fromkeys(content["measures"], 4)
    for name, dataset in content["datasets"].items():
        baseline = dataset["baseline"]["name"]
        with_gain = method != baseline
        table = Table(title=f"{name}  ({protocol_label(content)})", title_justify="left", title_style="bold")
        table.add_column("image", overflow="fold")
        for metric in digits:
            for heading in [baseline, method] if with_gain else [baseline]:
                table.add_column(f"{heading} {metric.upper()}", justify="right")
            if with_gain:
                table.add_column("gain", justify="right")
        for image, score in dataset["images"].items():
            table.add_row(image, *_gain_cells(score["baseline"], score, digits, with_gain))
        table.add_section()
        table.add_row("mean", *_gain_cells(dataset["baseline"], dataset, digits, with_gain), style="bold")
        console.print(table)
        if "remark" in dataset:
            console.print(dataset["remark"])
        console.print(footnote(content, name), style="dim", highlight=False)


def print_comparison(names: Sequence[str], contents: Sequence[Content], allow_mixed: bool = False) -> None:
    """Print a table per data set with a column for bicubic and for each content: PSNR in dB / SSIM / further metrics.

    names:    of the columns.
    contents: of results.json files.

    Raises UserError where protocols or images differ, unless `allow_mixed` is true: then headings and footnotes carry
    the number of their protocol group.
    """
    groups_by_dataset = protocol_groups(names, contents, allow_mixed)
    metrics = list(dict.fromkeys(name for content in contents for name in content["measures"]))
    console = table_console(max(120, (20 + 9 * len(metrics)) * (len(names) + 2)))
    for dataset, groups in groups_by_dataset.items():
        several = len({group for group in groups if group is not None}) > 1
        columns = _columns(dataset, names, contents, groups, several)
        protocol = "mixed protocols or images" if several else protocol_label(contents[groups.index(0)])
        console.print(_comparison_table(dataset, columns, metrics, protocol))
        for note in _footnotes(dataset, names, contents, groups, several):
            console.print(note, style="dim", highlight=False)


def _gain_cells(baseline: ScoreDict, score: ScoreDict, digits: Mapping[str, int], with_gain: bool) -> list[str]:
    """The cells of a row. digits: decimals by name of the metric."""
    cells = []
    for metric, decimals in digits.items():
        before, after = float(baseline[metric]), float(score[metric])
        cells.append(f"{before:.{decimals}f}")
        if with_gain:
            cells += [f"{after:.{decimals}f}", f"{gain(before, after):+.{decimals}f}"]
    return cells


def _columns(
    dataset: str, names: Sequence[str], contents: Sequence[Content], groups: Sequence[int | None], several: bool
) -> list[tuple[str, ScoreDict]]:
    """Heading and scores of each column: bicubic once per protocol group, then the contents with this data set."""
    columns = [
        (name, content["datasets"][dataset], group)
        for name, content, group in zip(names, contents, groups, strict=True)
        if group is not None
    ]
    baselines: list[tuple[str, ScoreDict]] = []
    for group in sorted({group for _, _, group in columns}):
        scores = next(scores for _, scores, column_group in columns if column_group == group)
        images = {image: score["baseline"] for image, score in scores["images"].items()}
        baselines.append(
            (group_label(scores["baseline"]["name"], group, several), {**scores["baseline"], "images": images})
        )
    return baselines + [(group_label(name, group, several), scores) for name, scores, group in columns]


def _footnotes(
    dataset: str, names: Sequence[str], contents: Sequence[Content], groups: Sequence[int | None], several: bool
) -> list[str]:
    """What the numbers depend on; columns with the same footnote share it, and are named if there are several."""
    owners: dict[tuple[str, str], list[str]] = {}
    for name, content, group in zip(names, contents, groups, strict=True):
        if group is not None:
            text = footnote_with_remark(content, dataset)
            mark, text = (f"[{group + 1}] ", f"{protocol_label(content)}; {text}") if several else ("", text)
            owners.setdefault((mark, text), []).append(name)
    if len(owners) == 1:
        return [text for _, text in owners]
    return [f"{mark}{', '.join(columns)}: {text}" for (mark, text), columns in owners.items()]


def _comparison_table(
    dataset: str, columns: Sequence[tuple[str, ScoreDict]], metrics: Sequence[str], protocol: str
) -> Table:
    cell_format = " / ".join(["PSNR in dB", "SSIM", *(metric.upper() for metric in metrics)])
    table = Table(title=f"{dataset}  ({cell_format}, {protocol})", title_justify="left", title_style="bold")
    table.add_column("image", overflow="fold")
    for heading, _ in columns:
        table.add_column(heading, justify="right", overflow="fold")
    for image in dict.fromkeys(image for _, scores in columns for image in scores["images"]):
        table.add_row(image, *(_cell(scores["images"].get(image), metrics) for _, scores in columns))
    table.add_section()
    table.add_row("mean", *(_cell(scores, metrics) for _, scores in columns), style="bold")
    return table


def _cell(score: ScoreDict | None, metrics: Sequence[str]) -> str:
    if score is None:
        return "–"
    further = (f"{float(score[metric]):.4f}" if metric in score else "–" for metric in metrics)
    return " / ".join([f"{float(score['psnr']):.2f}", f"{float(score['ssim']):.4f}", *further])
