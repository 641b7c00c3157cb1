"""Scores gathered picture by picture, and the files they are kept in.

results.json, schema 2:

    {"schema": 2,
     "protocol": {…},                 what is scored and how, plain values by name, see EvaluationProtocol.describe
     "method": {"kind": "network" or "baseline", "name": …},
     "measures": {NAME: {…}},         version, weights and paper of whatever was measured beside PSNR and SSIM
     "device": "cpu" or the GPU's name, "tile": "auto", "none" or a side in pixels; null where it isn't known
     "versions": {…},                 of upnet, its revision, Python, torch and the other packages
     "datasets": {NAME: {
         "psnr": mean dB, "ssim": mean, further measures by name, all over the same images,
         "left_out": names of images that are left out of all means, "exact": names of images whose output equals the
         target, "remark": a sentence on either, where there are any,
         "pictures": SHA-256 over the pixels of its HR and LR pictures,
         "lr_from": "files", "imresize" or "both": where LR pictures came from; null where it isn't known;
                    ", rounded up" follows where LR files were larger than HR / scale and were cropped,
         "baseline": {"name": "bicubic", "psnr": …, "ssim": …, …},
         "images": {FILE: {"psnr": …, "ssim": …, …, "baseline": {"psnr": …, "ssim": …, …}}}}},
     …}                               and what else belongs to the run: model, checkpoint, settings, parameters

An infinite PSNR, of a picture that equals its target, is written as the string "inf". Schema 1 had no method, measures,
device, tile, lr_from and protocol.ensemble; it is read, and what it lacks is filled in. Where a file has no left_out,
each of its means left out its own infinite PSNR; such means are taken again from the images.

Images that bicubic reproduces are left out of the means of the method and of the baseline: which images count is then
a property of the data set, the same for every network, and no gain is infinite. On an image that the network alone
reproduces, PSNR counts as `upnet.metrics.PSNR_CAP`.

results.csv has a row per picture, and in every row what the numbers depend on: it can be put under another one.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upnet.evaluation.schema import Results, read_json_object, validate
from upnet.metrics import PSNR_CAP, MeanScore, Score, mean
from upnet.metrics.protocol import PSNR_MEAN
from upnet.utils.atomic_io import atomic_write
from upnet.utils.csv import format_csv

SCHEMA = 2
SETTINGS = ("scale", "name", "channel", "crop", "grey", "ensemble", "resizing", "lr", "precision")
"""What results.csv repeats of the protocol in every row; its `name` goes by the heading `protocol`."""

_FORMER_MEANS = "peak 255, mean of the pictures' dB, identical pictures left out"


@dataclass
class DatasetScores:
    """The scores of one data set: by picture name, the method's and the baseline's."""

    name: str
    pictures: str = ""
    """A hash of the data set's pixels."""
    lr_from: str | None = None
    """Where its LR pictures came from: "files", "imresize" or "both"; see the schema."""
    method: dict[str, Score] = field(default_factory=dict)
    baseline: dict[str, Score] = field(default_factory=dict)

    def add(self, picture: str, network: Score, baseline: Score) -> None:
        """Take in one picture."""
        self.method[picture] = network
        self.baseline[picture] = baseline

    @property
    def counted_images(self) -> list[str]:
        """The images that the means are over: those that the baseline doesn't reproduce, or all where there is none."""
        lossy = [name for name, score in self.baseline.items() if not math.isinf(score.psnr)]
        return lossy or list(self.baseline)

    def means(self) -> tuple[MeanScore, MeanScore]:
        """The method's mean and the baseline's, over the same images."""
        names = self.counted_images
        return mean([self.method[name] for name in names]), mean([self.baseline[name] for name in names])

    def to_dict(self) -> dict[str, Any]:
        """As the schema has it."""
        network, baseline = self.means()
        left_out = sorted(self.method.keys() - self.counted_images)
        exact = [name for name in self.counted_images if math.isinf(self.method[name].psnr)]
        plain: dict[str, Any] = {
            **_plain(network),
            "left_out": left_out,
            "exact": exact,
            "pictures": self.pictures,
            "lr_from": self.lr_from,
            "baseline": {"name": "bicubic", **_plain(baseline)},
            "images": {
                name: {**_plain(score), "baseline": _plain(self.baseline[name])} for name, score in self.method.items()
            },
        }
        parts = [format_remark(LEFT_OUT, left_out), format_remark(EXACT.format("the output"), exact)]
        parts += [EVERY] if baseline.exact else []
        if remark := " ".join(filter(None, parts)):
            plain["remark"] = remark
        return plain


LEFT_OUT = "Left out of the means, because bicubic equals the target"
EXACT = f"Counted as {PSNR_CAP:g} dB, because {{}} equals the target"
EVERY = f"Bicubic equals the target in every image, and its PSNR counts as {PSNR_CAP:g} dB."


def format_remark(what: str, names: Sequence[str], most: int = 5) -> str:
    """A sentence that names images, or how many more there are; empty where there are none."""
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{more}."


def results_content(
    tallies: Iterable[DatasetScores], protocol: Mapping[str, Any], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """What results.json holds; extra is all that it has beside protocol and data sets. Untold, a network is scored."""
    return _filled(
        {
            "schema": SCHEMA,
            "protocol": dict(protocol),
            "datasets": {tally.name: tally.to_dict() for tally in tallies},
            **extra,
        }
    )


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write results.json, whole or not at all."""
    atomic_write(json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def write_csv(content: Mapping[str, Any], path: Path) -> None:
    """Write a row per picture, whole or not at all: what was scored, on what, the scores, and what they depend on."""
    rows = list(_rows(content))
    atomic_write(format_csv([*rows[:1], *(row.values() for row in rows)]), path)


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json. Raises ValueError where it is none, or of a schema this version doesn't know."""
    content = read_json_object(path, "results")
    if content.get("schema") not in (1, SCHEMA):
        raise ValueError(
            f"{path} is not a results.json of schema 1 to {SCHEMA}; evaluate the checkpoint again to write one"
        )
    validate(content, Results, path, "results.json")
    return _filled(content)


def _filled(content: dict[str, Any]) -> dict[str, Any]:
    """The content with whatever it doesn't tell said to be the usual thing, or not known."""
    content["schema"] = SCHEMA
    content["protocol"].setdefault("ensemble", "none")
    content["method"] = {"kind": "network", "name": "network", **content.get("method", {})}
    for key, usual in (("measures", {}), ("device", None), ("tile", None), ("versions", {})):
        content.setdefault(key, usual)
    if content["protocol"].get("psnr") == _FORMER_MEANS:
        content["protocol"]["psnr"] = PSNR_MEAN
    for told in content["datasets"].values():
        told.setdefault("lr_from", None)
        if "left_out" not in told:
            told |= {"left_out": [], "exact": [], **_averaged_again(told, content["measures"])}
    return content


def _averaged_again(told: Mapping[str, Any], measures: Iterable[str]) -> dict[str, Any]:
    """The means of a data set over the same images, where a PSNR in a file of earlier versions is infinite."""
    pairs = {name: (score, score["baseline"]) for name, score in told["images"].items()}
    if not any("inf" in (score["psnr"], baseline["psnr"]) for score, baseline in pairs.values()):
        return {}
    common = [name for name in measures if all(name in one for pair in pairs.values() for one in pair)]
    tally = DatasetScores("")
    for name, pair in pairs.items():
        tally.add(name, *(_score(one, common) for one in pair))
    again = tally.to_dict()
    kept = {key: again[key] for key in again if key not in ("pictures", "lr_from", "images", "baseline")}
    return {**kept, "baseline": {**told["baseline"], **again["baseline"], "name": told["baseline"]["name"]}}


def _score(plain: Mapping[str, Any], measures: Iterable[str]) -> Score:
    return Score(float(plain["psnr"]), float(plain["ssim"]), perceptual={name: float(plain[name]) for name in measures})


def _rows(content: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    protocol, versions = content["protocol"], content["versions"]
    shared = {"protocol" if key == "name" else key: protocol.get(key) for key in SETTINGS}
    shared |= {f"{name}_weights": told.get("weights") for name, told in content["measures"].items()}
    shared |= {"device": content["device"], "tile": content["tile"]}
    shared |= {name: versions.get(name) for name in ("upnet", "revision", "torch")}
    scores = ("psnr", "ssim", *content["measures"])
    for dataset, told in content["datasets"].items():
        left_out = set(told["left_out"])
        for image, score in told["images"].items():
            yield {
                "method": content["method"]["name"],
                "dataset": dataset,
                "image": image,
                **{name: score[name] for name in scores},
                "baseline": told["baseline"]["name"],
                **{f"baseline_{name}": score["baseline"][name] for name in scores},
                "in_means": "no" if image in left_out else "yes",
                **shared,
                "lr_from": told["lr_from"],
                "pictures": told["pictures"],
            }


def _plain(score: Score) -> dict[str, float | str]:
    psnr = "inf" if math.isinf(score.psnr) else round(score.psnr, 6)
    return {"psnr": psnr, "ssim": round(score.ssim, 8), **{name: round(v, 6) for name, v in score.perceptual.items()}}
