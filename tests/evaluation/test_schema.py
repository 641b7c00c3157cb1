"""Untrusted JSON files are either read or rejected with an error of one line."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from upnet.evaluation.results import read_results
from upnet.evaluation.tables import print_comparison, print_results
from upnet.study.plan import planned_runs

SCORES = {"psnr": 30.0, "ssim": 0.9}
RESULTS: dict[str, Any] = {
    "schema": 2,
    "protocol": {"name": "rgb8", "scale": 2, "channel": "y", "crop": 2},
    "method": {"kind": "network", "name": "first"},
    "measures": {},
    "device": "cpu",
    "tile": "auto",
    "versions": {"upnet": "1"},
    "datasets": {
        "Set5": {
            **SCORES,
            "pictures": "a" * 64,
            "lr_from": "files",
            "baseline": {"name": "bicubic", **SCORES},
            "images": {"baby": {**SCORES, "psnr": "inf", "baseline": SCORES}},
        }
    },
}
PLAN: dict[str, Any] = {
    "schema": 2,
    "study": "mine",
    "match": "none",
    "reference": "a",
    "variants": [{"arm": "a", "levels": {}, "changes": {}, "refused": None}],
    "cells": [{"number": 1, "key": "k", "folder": "cells/k", "arm": "a", "levels": {}, "seed": 0}],
}
INVALID_VALUES = (None, True, -1, 2.5, "text", "\x1b[2J", [], ["a"], {}, {"a": 1}, ...)


def mutations(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all nodes of a tree."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [inner for key in keys for inner in [(*path, key), *mutations(node[key], (*path, key))]]


def mutated(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(content)
    node: Any = content
    for key in path[:-1]:
        node = node[key]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return content


def test_any_mutation_of_a_results_json_is_read_or_rejected_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    rejected = read = 0
    multiline_errors: list[Any] = []
    for path in mutations(RESULTS):
        for value in INVALID_VALUES:
            file.write_text(json.dumps(mutated(RESULTS, path, value)))
            try:
                content = read_results(file)
                print_results(content)
                print_comparison(["a", "b"], [content, copy.deepcopy(content)], False)
                read += 1
            except ValueError as error:
                rejected += 1
                multiline_errors += [(path, value)] * (len(str(error).splitlines()) != 1)
    assert not multiline_errors
    assert read > 50
    assert rejected > 200
    assert "\x1b" not in capsys.readouterr().out


def test_any_mutation_of_a_plan_is_read_or_rejected(tmp_path: Path) -> None:
    rejected = 0
    for path in mutations(PLAN):
        for value in INVALID_VALUES:
            (tmp_path / "plan.json").write_text(json.dumps(mutated(PLAN, path, value)))
            try:
                planned_runs(tmp_path)
            except ValueError:
                rejected += 1
    assert rejected > 80


@pytest.mark.parametrize("folder", ["../other", "/etc", "cells/../../other", "out/k"])
def test_cell_folders_outside_the_study_are_rejected(tmp_path: Path, folder: str) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "out").symlink_to(tmp_path)
    (study / "plan.json").write_text(json.dumps(mutated(PLAN, ("cells", 0, "folder"), folder)))
    with pytest.raises(ValueError, match="leads out of"):
        planned_runs(study)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", "[" * 100_000, '{"schema": 2, "a": ' + "[" * 80 + "]" * 80 + "}", '{"schema": ' + "9" * 5000],
)
def test_non_mappings_and_deeply_nested_results_are_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"results\.json can't be read as results"):
        read_results(tmp_path / "results.json")
