"""What the tests of the report of a study share: names, a study whose results they change, and its rendered report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from upnet.data import Store

SPECIAL_NAME = "<b>50% & $x_1$</b>"
"""The name of an arm, with what HTML, LaTeX and matplotlib interpret."""

IMAGE_NAMES = {b"caf\xe9": "caf\\xe9", b"A$x_$y": "A$x_$y", "照片".encode(): "照片"}
"""Names of image files as bytes, and as the report shows them."""


class Study(NamedTuple):
    """A study of two arms and two seeds, evaluated on three images; the second arm is 1 dB better."""

    folder: Path
    stores: dict[str, Store]

    def write_plan(self, failure: str | None = None) -> None:
        """Name the arms in a plan whose reference is the second; with a failure, add an arm whose only run failed."""
        arms = [SPECIAL_NAME, "plain"]
        cells: list[dict[str, Any]] = [
            {"number": n, "key": "k", "folder": f"{n}-run", "arm": arms[n // 2], "levels": {}, "seed": n % 2}
            for n in range(4)
        ]
        if failure is not None:
            arms.append("wide")
            cells.append({"number": 4, "key": "k", "folder": "4-run", "arm": "wide", "levels": {}, "seed": 0})
            (self.folder / "4-run").mkdir()
            (self.folder / "4-run/failed.json").write_text(json.dumps({"reason": failure}))
        variants = [{"arm": arm, "levels": {}, "changes": {}, "refused": None} for arm in arms]
        content = {"schema": 2, "study": "mine", "match": "params", "reference": "plain", "variants": variants}
        (self.folder / "plan.json").write_text(json.dumps({**content, "cells": cells, "overrides": ["+study=mine"]}))

    def change_results(self, change: Callable[[dict[str, Any]], object], *runs: int) -> None:
        """Apply a function to the content of results.json of these runs, by default of all."""
        for run in runs or range(4):
            path = self.folder / f"{run}-run/results.json"
            content = json.loads(path.read_text())
            change(content)
            path.write_text(json.dumps(content))


class Rendered(NamedTuple):
    """A study with all files of its report, and the checkpoints that were read for it."""

    folder: Path
    reads: list[Path]
    checkpoints: list[Path]
