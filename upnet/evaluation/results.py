"""The files results.json and results.csv of an evaluation.

results.json, schema 2:

    {"schema": 2,
     "protocol": {…},                 the protocol as plain values, see EvaluationProtocol.describe
     "method": {"kind": "network" or "baseline", "name": …},
     "measures": {NAME: {…}},         version, weights and paper of every perceptual metric
     "device": "cpu" or the name of the GPU, "tile": "auto", "none" or a side in pixels; null if unknown
     "versions": {…},                 of upnet, its revision, Python, torch and other packages
     "datasets": {NAME: {
         "psnr": mean in dB, "ssim": mean, means of perceptual metrics by name, all over the same images,
         "left_out": names of images that all means leave out,
         "exact": names of images whose output equals the target,
         "remark": a sentence on either, if there are any,
         "pictures": SHA-256 of the pixels of the HR and LR images,
         "lr_from": "files", "imresize" or "both": where the LR images come from; null if unknown;
                    ", rounded up" follows if LR files were larger than HR / scale and were cropped,
         "baseline": {"name": "bicubic", "psnr": …, "ssim": …, …},
         "images": {FILE: {"psnr": …, "ssim": …, …, "baseline": {"psnr": …, "ssim": …, …}}}}},
     …}                               further values of the run: model, checkpoint, settings, parameters

An infinite PSNR, of an output that equals its target, is written as the string "inf". Schema 1 has no method, measures,
device, tile, lr_from and protocol.ensemble; it is read, and default values are filled in. In a file without left_out,
each mean leaves out its own images of infinite PSNR; such means are recomputed from the images.

Images for which bicubic equals the target are left out of the means of the method and of the baseline. The images of a
mean are thus a property of the data set, the same for every network, and no gain is infinite. If only the network's
output equals the target, its PSNR counts as `upnet.metrics.PSNR_CAP`.

results.csv has one row per image. Each row states what its numbers depend on, so that files can be concatenated.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.schema import Results, read_json_object, validate
from upnet.metrics import Score
from upnet.metrics.protocol import PSNR_MEAN
from upnet.utils.atomic_io import atomic_write
from upnet.utils.csv import format_csv
from upnet.utils.errors import UserError

SCHEMA = 2
SETTINGS = ("scale", "name", "channel", "crop", "grey", "ensemble", "resizing", "lr", "precision")
"""The protocol values that results.csv repeats in every row; `name` has the heading `protocol`."""

_OLD_PSNR_MEAN = "peak 255, mean of the pictures' dB, identical pictures left out"


def results_content(
    scores: Iterable[DatasetScores], protocol: Mapping[str, Any], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of results.json.

    scores:   one DatasetScores per data set.
    protocol: as `EvaluationProtocol.describe` returns it.
    extra:    further keys; without a `method`, a network was evaluated.
    """
    return _with_defaults(
        {
            "schema": SCHEMA,
            "protocol": dict(protocol),
            "datasets": {dataset.name: dataset.to_dict() for dataset in scores},
            **extra,
        }
    )


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write indented JSON atomically."""
    atomic_write(json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def write_csv(content: Mapping[str, Any], path: Path) -> None:
    """Write results.csv atomically: one row per image with its scores and everything that they depend on."""
    rows = list(_rows(content))
    atomic_write(format_csv([*rows[:1], *(row.values() for row in rows)]), path)


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json of any schema. Raises UserError for a file that is not a results.json of a known schema."""
    content = read_json_object(path, "results")
    if content.get("schema") not in (1, SCHEMA):
        raise UserError(
            f"{path} is not a results.json of schema 1 to {SCHEMA}", cure="Evaluate the checkpoint again to write one"
        )
    validate(content, Results, path, "results.json")
    return _with_defaults(content)


def _with_defaults(content: dict[str, Any]) -> dict[str, Any]:
    """Fill in the values that older files lack."""
    content["schema"] = SCHEMA
    content["protocol"].setdefault("ensemble", "none")
    content["method"] = {"kind": "network", "name": "network", **content.get("method", {})}
    for key, default in (("measures", {}), ("device", None), ("tile", None), ("versions", {})):
        content.setdefault(key, default)
    if content["protocol"].get("psnr") == _OLD_PSNR_MEAN:
        content["protocol"]["psnr"] = PSNR_MEAN
    for dataset in content["datasets"].values():
        dataset.setdefault("lr_from", None)
        if "left_out" not in dataset:
            dataset |= {"left_out": [], "exact": [], **_recomputed_means(dataset, content["measures"])}
    return content


def _recomputed_means(dataset: Mapping[str, Any], measures: Iterable[str]) -> dict[str, Any]:
    """The means over the same images for method and baseline; empty if no image of an old file has infinite PSNR."""
    pairs = {name: (score, score["baseline"]) for name, score in dataset["images"].items()}
    if not any("inf" in (score["psnr"], baseline["psnr"]) for score, baseline in pairs.values()):
        return {}
    common = [name for name in measures if all(name in score for pair in pairs.values() for score in pair)]
    scores = DatasetScores("")
    for name, pair in pairs.items():
        scores.add(name, *(_to_score(score, common) for score in pair))
    content = scores.to_dict()
    means = {key: content[key] for key in content if key not in ("pictures", "lr_from", "images", "baseline")}
    baseline = {**dataset["baseline"], **content["baseline"], "name": dataset["baseline"]["name"]}
    return {**means, "baseline": baseline}


def _to_score(content: Mapping[str, Any], measures: Iterable[str]) -> Score:
    perceptual = {name: float(content[name]) for name in measures}
    return Score(float(content["psnr"]), float(content["ssim"]), perceptual=perceptual)


def _rows(content: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    protocol, versions = content["protocol"], content["versions"]
    shared = {"protocol" if key == "name" else key: protocol.get(key) for key in SETTINGS}
    shared |= {f"{name}_weights": measure.get("weights") for name, measure in content["measures"].items()}
    shared |= {"device": content["device"], "tile": content["tile"]}
    shared |= {name: versions.get(name) for name in ("upnet", "revision", "torch")}
    metrics = ("psnr", "ssim", *content["measures"])
    for dataset, scores in content["datasets"].items():
        left_out = set(scores["left_out"])
        for image, score in scores["images"].items():
            yield {
                "method": content["method"]["name"],
                "dataset": dataset,
                "image": image,
                **{name: score[name] for name in metrics},
                "baseline": scores["baseline"]["name"],
                **{f"baseline_{name}": score["baseline"][name] for name in metrics},
                "in_means": "no" if image in left_out else "yes",
                **shared,
                "lr_from": scores["lr_from"],
                "pictures": scores["pictures"],
            }
