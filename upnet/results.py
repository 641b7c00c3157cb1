"""Scores gathered picture by picture, and the file they are kept in.

results.json, schema 1:

    {"schema": 1,
     "protocol": {…},                          everything a number depends on, see Protocol.describe
     "datasets": {NAME: {"psnr": mean dB, "ssim": mean, "pictures": hash of the pictures, "remark": only where needed,
                         "baseline": {"name": "bicubic", "psnr": …, "ssim": …},
                         "images": {FILE: {"psnr": …, "ssim": …, "baseline": {"psnr": …, "ssim": …}}}}},
     …}                                        and what else belongs to the run: model, versions, parameters

An infinite PSNR, of a picture that equals its target, is written as the string "inf".
"""

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upnet.metrics import Mean, Score, mean

SCHEMA = 1


@dataclass
class Tally:
    """The scores of one data set: by picture name, the network's and the baseline's."""

    name: str
    pictures: str = ""
    """A hash of the data set's pixels."""
    network: dict[str, Score] = field(default_factory=dict)
    baseline: dict[str, Score] = field(default_factory=dict)

    def add(self, picture: str, network: Score, baseline: Score) -> None:
        """Take in one picture."""
        self.network[picture] = network
        self.baseline[picture] = baseline

    def means(self) -> tuple[Mean, Mean]:
        """The network's mean, and the baseline's."""
        return mean(list(self.network.values())), mean(list(self.baseline.values()))

    def plain(self) -> dict[str, Any]:
        """As the schema has it."""
        network, baseline = self.means()
        plain: dict[str, Any] = {
            **_plain(network),
            "pictures": self.pictures,
            "baseline": {"name": "bicubic", **_plain(baseline)},
            "images": {
                name: {**_plain(score), "baseline": _plain(self.baseline[name])} for name, score in self.network.items()
            },
        }
        if network.remark:
            plain["remark"] = network.remark
        return plain


def results(tallies: Iterable[Tally], protocol: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """What results.json holds."""
    return {
        "schema": SCHEMA,
        "protocol": dict(protocol),
        "datasets": {tally.name: tally.plain() for tally in tallies},
        **extra,
    }


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write results.json, whole or not at all."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(aside, path)


def write_csv(content: Mapping[str, Any], path: Path) -> None:
    """Write a row per picture: dataset, image, psnr, ssim, baseline_psnr, baseline_ssim."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["dataset", "image", "psnr", "ssim", "baseline_psnr", "baseline_ssim"])
        for dataset, told in content["datasets"].items():
            for image, score in told["images"].items():
                baseline = score["baseline"]
                rows.writerow([dataset, image, score["psnr"], score["ssim"], baseline["psnr"], baseline["ssim"]])


def read_json(path: Path) -> dict[str, Any]:
    """Read results.json. Raises ValueError where it is none, or of a schema this version doesn't know."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise ValueError(f"{path} can't be read as results: {fault}") from fault
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a results.json of schema {SCHEMA}; evaluate the checkpoint again to write one")
    return content


def _plain(score: Score) -> dict[str, float | str]:
    psnr = "inf" if math.isinf(score.psnr) else round(score.psnr, 6)
    return {"psnr": psnr, "ssim": round(score.ssim, 8)}
