"""The uses of `upnet evaluate` that read earlier results: a table of results.json files, and the report of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from upnet.data import Store, build_store, open_sources
from upnet.evaluation.optional_output import optional_output
from upnet.evaluation.results import read_results, write_json
from upnet.evaluation.tables import print_comparison, print_results
from upnet.study.finished_runs import comparable_arms, read_study
from upnet.study.report import assemble_report, draw_details, write_report
from upnet.study.run_table import print_study, study_content
from upnet.utils.device import pick_device
from upnet.utils.errors import UserError
from upnet.utils.paths import as_list, display_path


def compare_results(config: DictConfig) -> None:
    """Print one table that compares several results.json files; for a single file, the table of its evaluation."""
    paths = [Path(path) for path in as_list(config.results)]
    paths = [path / "results.json" if path.is_dir() else path for path in paths]
    contents = [read_results(path) for path in paths]
    if len(contents) == 1:
        print_results(contents[0])
    else:
        print_comparison(distinct_endings(paths), contents, config.allow_mixed)


def report_study(config: DictConfig) -> None:
    """Print the table of a study, and write study.json, comparison.png and the report into the study's folder."""
    folder = Path(config.study)
    arms, unfinished = read_study(folder, as_list(config.trust), config.allow_mixed)
    write_json(study_content(arms), folder / "study.json")
    with optional_output("the printed table"):
        print_study(arms, unfinished)
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print()
    try:
        stores = _evaluated_stores(arms[0].runs[0].results, config.data, config.max_pixels)
    except UserError as error:
        # A study may be reported on a machine that does not have its images.
        console.print(f"The report has no images: {error}")
        stores = {}
    if stores:
        with optional_output("the comparison image"):
            draw_details(comparable_arms(arms), stores, folder / "comparison.png")
            console.print(f"Comparison image         {display_path(folder / 'comparison.png')}")
    write_report(assemble_report(folder, arms, unfinished, stores, pick_device(config.device)), folder)
    console.print(
        f"Table as data            {display_path(folder / 'study.json')}\n"
        f"Report                   {display_path(folder / 'report.html')}, with its tables in report.md and report.tex"
    )


def distinct_endings(paths: Sequence[Path]) -> list[str]:
    """Distinct column headings for files: the last part of the path of each file's folder, or as many as needed.

    >>> distinct_endings([Path("/runs/a/results.json"), Path("/runs/b/results.json")])
    ['a', 'b']
    """
    parts = [path.parent.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(folder_parts[-length:]) for folder_parts in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {path}" for number, path in enumerate(paths, 1)]


def _evaluated_stores(results: Mapping[str, Any], data: DictConfig, max_pixels: int | None) -> dict[str, Store]:
    """The images that a run was evaluated on, by data set. Raises UserError if they are not on this machine."""
    if not {"scale", "val_root"} <= results.keys():
        raise UserError("the results do not state where the evaluated images are")
    scale = int(results["scale"])
    sources = open_sources(results["val_root"], scale)
    rounded_up = bool(data.lr_rounded_up)
    return {
        name: build_store(source, scale, data.cache_dir, max_pixels=max_pixels, lr_rounded_up=rounded_up)
        for name, source in sources.items()
    }
