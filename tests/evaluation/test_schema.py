"""Whatever stands in a stranger's JSON, it is read as what it should be or refused in a sentence."""

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
ODD = (None, True, -1, 2.5, "text", "\x1b[2J", [], ["a"], {}, {"a": 1}, ...)


def mutations(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a tree."""
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


def test_every_part_of_a_results_json_may_be_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    refused = read = 0
    broken: list[Any] = []
    for path in mutations(RESULTS):
        for value in ODD:
            file.write_text(json.dumps(mutated(RESULTS, path, value)))
            try:
                content = read_results(file)
                print_results(content)
                print_comparison(["a", "b"], [content, copy.deepcopy(content)], False)
                read += 1
            except ValueError as fault:
                refused += 1
                broken += [(path, value)] * (len(str(fault).splitlines()) != 1)
    assert not broken
    assert read > 50
    assert refused > 200
    assert "\x1b" not in capsys.readouterr().out


def test_every_part_of_a_plan_may_be_anything(tmp_path: Path) -> None:
    refused = 0
    for path in mutations(PLAN):
        for value in ODD:
            (tmp_path / "plan.json").write_text(json.dumps(mutated(PLAN, path, value)))
            try:
                planned_runs(tmp_path)
            except ValueError:
                refused += 1
    assert refused > 80


@pytest.mark.parametrize("folder", ["../other", "/etc", "cells/../../other", "out/k"])
def test_a_plan_leads_nowhere_else(tmp_path: Path, folder: str) -> None:
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
def test_what_is_no_mapping_or_nested_without_end_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"results\.json can't be read as results"):
        read_results(tmp_path / "results.json")
