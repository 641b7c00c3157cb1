"""Fit every structure on the training pictures, score it on the test pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.convert_parameters import vector_to_parameters
from tqdm import tqdm

from upnet.data import DeadLeaves, Source, Store, build_store, open_sources
from upnet.data.datasets import StoreDataset
from upnet.imaging.colour import luma, rounded_luma
from upnet.metrics import EvaluationProtocol, Score, mean
from upnet.metrics.protocol import CAPPED_PSNR_MEAN
from upnet.study.oracle.moments import Moments
from upnet.study.oracle.structures import STRUCTURES, LinearResponse, Structure, measure_response
from upnet.upsample import Upsampler


@dataclass(frozen=True)
class FittedOperator:
    """A structure at its optimum.

    name:     the structure's.
    operator: with the fitted weights in it.
    response: as it was measured.
    psnr:     of the training pixels in dB, neither rounded nor clamped.
    """

    name: str
    operator: Upsampler
    response: LinearResponse
    psnr: float


@dataclass(frozen=True)
class OracleSettings:
    """What is asked for.

    protocol: which luma is fitted, and how it is scored.
    train:    folders of pictures to fit on; None means dead leaves.
    test:     folders of pictures to score; None means the four photographs.
    pictures: at most so many training pictures, spread evenly over all of them; None takes them all.
    cache:    where decoded pictures are kept; None means beside the pictures.
    borders:  "repeated" goes on with a test picture's outermost pixels beyond its border, as the interpolations do, so
              that a structure's support alone is scored; "own" leaves that to the operator, whose convolutions see
              zeros there: where they reach farther than the crop, that costs more than the support is worth.
    """

    protocol: EvaluationProtocol
    train: Sequence[str] | None = None
    test: Sequence[str] | None = None
    pictures: int | None = None
    cache: Path | None = None
    borders: Literal["repeated", "own"] = "repeated"


def fit(structure: Structure, moments: Moments) -> FittedOperator:
    """The structure's operator with the weights that no others surpass on the pictures of the moments."""
    operator = structure.operator(moments.scale)
    response = measure_response(operator, moments.reach)
    parameters = moments.solve(response)
    if len(parameters):
        vector_to_parameters(parameters, operator.parameters())
    return FittedOperator(structure.name, operator, response, moments.psnr(response.kernels(parameters)))


def run_oracle(question: OracleSettings, scale: int) -> dict[str, Any]:
    """Everything about one scale, as plain data: protocol, pictures, and a row per structure."""
    train: Mapping[str, Source] = {DeadLeaves.name: DeadLeaves()}
    if question.train is not None:
        train = open_sources(question.train, scale)
    stores = {name: build_store(source, scale, question.cache) for name, source in train.items()}
    tests = {
        name: build_store(source, scale, question.cache) for name, source in open_sources(question.test, scale).items()
    }
    moments, used = gather(list(stores.values()), scale, question)
    fitted = [fit(structure, moments) for structure in tqdm(STRUCTURES, f"Fitting ×{scale}", leave=False, disable=None)]
    margin = moments.reach if question.borders == "repeated" else 0
    scores = {name: _score(fitted, store, question.protocol, margin) for name, store in tests.items()}
    return {
        "protocol": {**question.protocol.describe(scale), "precision": "float64", "psnr": CAPPED_PSNR_MEAN},
        "borders": question.borders,
        "train": {name: _pictures(store) for name, store in stores.items()},
        "trained_on": used,
        "test": {name: _pictures(store) for name, store in tests.items()},
        "structures": [_row(one, {name: score[one.name] for name, score in scores.items()}) for one in fitted],
    }


def gather(stores: Sequence[Store], scale: int, question: OracleSettings) -> tuple[Moments, int]:
    """The moments of the training pictures, and how many pictures those are."""
    everything = [(store, index) for store in stores for index in range(len(store))]
    total = len(everything)
    count = total if question.pictures is None else min(question.pictures, total)
    chosen = [everything[number * total // count] for number in range(count)]
    moments = Moments(scale)
    for store, index in tqdm(chosen, f"Reading ×{scale}", unit="picture", leave=False, disable=None):
        item = StoreDataset(store)[index]
        moments.add(*planes(item["lr"], item["hr"], question.protocol, scale))
    return moments, count


def planes(lr: Tensor, hr: Tensor, protocol: EvaluationProtocol, scale: int) -> tuple[Tensor, Tensor]:
    """The luma that is fitted, (h, w) and (s·h, s·w) float64 in [0, 1], of (3, h, w) and (3, s·h, s·w) uint8."""
    if protocol.name == "y-float":
        small, target = protocol.degrade(hr, scale)
        return small[0], rounded_luma(target)[0] / 255
    return luma(lr.double() / 255)[0], luma(hr.double() / 255)[0]


@torch.no_grad()
def enlarge(operator: Upsampler, picture: Tensor, margin: int = 0) -> Tensor:
    """Every channel for itself, (C, h, w) -> (C, s·h, s·w), with `margin` repeated pixels around it while it grows."""
    wide = F.pad(picture.double()[:, None], (margin,) * 4, mode="replicate")
    large, edge = operator.upsample_full(wide)[:, 0], int(operator.scale) * margin
    return large[:, edge : large.shape[1] - edge, edge : large.shape[2] - edge]


def _pictures(store: Store) -> dict[str, int | str]:
    return {"digest": store.digest, "pictures": len(store), "lr_from": store.lr_from}


def _score(
    fitted: Sequence[FittedOperator], store: Store, protocol: EvaluationProtocol, margin: int
) -> dict[str, dict[str, Score]]:
    """By structure, then by picture."""
    scale = store.scale
    scores: dict[str, dict[str, Score]] = {one.name: {} for one in fitted}
    pictures = StoreDataset(store)
    bar = tqdm(range(len(pictures)), f"{store.name} ×{scale}", unit="picture", leave=False, disable=None)
    for item in (pictures[index] for index in bar):
        small, target = item["lr"].double() / 255, item["hr"]
        if protocol.name == "y-float":
            small, target = protocol.degrade(target, scale)
        for one in fitted:
            scores[one.name][item["name"]] = protocol.evaluate(enlarge(one.operator, small, margin), target, scale)
    return scores


def _row(fitted: FittedOperator, scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    tests: dict[str, Any] = {}
    for name, images in scores.items():
        average = mean(list(images.values()))
        tests[name] = {**_plain(average), "images": {image: _plain(score) for image, score in images.items()}}
        if average.remark:
            tests[name]["remark"] = average.remark
    return {
        "structure": fitted.name,
        "parameters": fitted.response.weights(),
        "taps": list(fitted.response.taps()),
        "train_psnr": _decibels(fitted.psnr),
        "tests": tests,
    }


def _plain(score: Score) -> dict[str, float | str]:
    return {"psnr": _decibels(score.psnr), "ssim": round(score.ssim, 8)}


def _decibels(psnr: float) -> float | str:
    """JSON has no infinity: it is written as the word, as in results.json."""
    return "inf" if math.isinf(psnr) else round(psnr, 6)
