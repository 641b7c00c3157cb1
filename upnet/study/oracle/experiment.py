"""Fit every structure on the training images and evaluate it on the test images.

Shape legend: C channels; h, w LR pixels; s scale.
"""

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
from upnet.evaluation.dataset_scores import psnr_to_json, score_dict
from upnet.imaging.colour import luma, rounded_luma
from upnet.metrics import EvaluationProtocol, Score, mean
from upnet.metrics.protocol import CAPPED_PSNR_MEAN
from upnet.study.oracle.moments import Moments
from upnet.study.oracle.structures import STRUCTURES, LinearResponse, Structure, measure_response
from upnet.upsample import Upsampler


@dataclass(frozen=True)
class FittedOperator:
    """A structure with its least-squares weights.

    name:       of the structure.
    operator:   of one channel in float64, with the fitted weights.
    response:   as `measure_response` returns it.
    train_psnr: in dB over all pixels of the training images; outputs are neither rounded nor clamped.
    """

    name: str
    operator: Upsampler
    response: LinearResponse
    train_psnr: float


@dataclass(frozen=True)
class OracleSettings:
    """Images, protocol and border handling of an oracle experiment.

    protocol:   which luma is fitted, and how outputs are evaluated.
    train:      folders of training images; None takes synthetic dead leaves images.
    test:       folders of test images; None takes four photographs of scikit-image.
    max_images: the number of training images, spread evenly over all; None takes all.
    cache:      the folder of the cache of decoded images; None takes the default.
    borders:    "repeated" pads test images by replicating their border pixels, as interpolations do, so that only the
                support of a structure counts. "own" leaves padding to the operator. Convolutions pad zeros: where their
                kernel reaches beyond the crop of the protocol, this costs more dB than a larger support gains.
    """

    protocol: EvaluationProtocol
    train: Sequence[str] | None = None
    test: Sequence[str] | None = None
    max_images: int | None = None
    cache: Path | None = None
    borders: Literal["repeated", "own"] = "repeated"


def fit(structure: Structure, moments: Moments) -> FittedOperator:
    """The structure with the weights of the smallest squared error on the training images.

    Raises UserError where the moments contain no pixels.

    >>> from upnet.study.oracle.structures import STRUCTURES
    >>> image = (torch.arange(18 * 18) % 7).reshape(18, 18).double()
    >>> moments = Moments(scale=2)
    >>> moments.add(image, image.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1))
    >>> fit(STRUCTURES[0], moments).train_psnr  # nearest-neighbour interpolation is exact on this image
    inf
    """
    operator = structure.build_operator(moments.scale)
    response = measure_response(operator, moments.radius)
    parameters = moments.solve(response)
    if len(parameters):
        vector_to_parameters(parameters, operator.parameters())
    return FittedOperator(structure.name, operator, response, moments.psnr(response.kernels(parameters)))


def run_oracle(settings: OracleSettings, scale: int) -> dict[str, Any]:
    """The result for one scale as plain data: protocol, images, and an entry per structure.

    Raises UserError for folders that can't be read, and for images that are too small.
    """
    train: Mapping[str, Source] = {DeadLeaves.name: DeadLeaves()}
    if settings.train is not None:
        train = open_sources(settings.train, scale)
    test = open_sources(settings.test, scale)
    train_stores = {name: build_store(source, scale, settings.cache) for name, source in train.items()}
    test_stores = {name: build_store(source, scale, settings.cache) for name, source in test.items()}
    moments, image_count = collect_moments(list(train_stores.values()), scale, settings)
    fitted = [fit(structure, moments) for structure in tqdm(STRUCTURES, f"Fitting ×{scale}", leave=False, disable=None)]
    margin = moments.radius if settings.borders == "repeated" else 0
    scores = {name: _evaluate(fitted, store, settings.protocol, margin) for name, store in test_stores.items()}
    return {
        "protocol": {**settings.protocol.describe(scale), "precision": "float64", "psnr": CAPPED_PSNR_MEAN},
        "borders": settings.borders,
        "train": {name: _describe_store(store) for name, store in train_stores.items()},
        "trained_on": image_count,
        "test": {name: _describe_store(store) for name, store in test_stores.items()},
        "structures": [
            _structure_entry(operator, {name: by_structure[operator.name] for name, by_structure in scores.items()})
            for operator in fitted
        ],
    }


def collect_moments(stores: Sequence[Store], scale: int, settings: OracleSettings) -> tuple[Moments, int]:
    """The moments of the training images, and the number of these images."""
    available = [(store, index) for store in stores for index in range(len(store))]
    total = len(available)
    count = total if settings.max_images is None else min(settings.max_images, total)
    selected = [available[number * total // count] for number in range(count)]
    moments = Moments(scale)
    for store, index in tqdm(selected, f"Reading ×{scale}", unit="image", leave=False, disable=None):
        item = StoreDataset(store)[index]
        moments.add(*luma_planes(item["lr"], item["hr"], settings.protocol, scale))
    return moments, count


def luma_planes(lr: Tensor, hr: Tensor, protocol: EvaluationProtocol, scale: int) -> tuple[Tensor, Tensor]:
    """The luma planes to fit: (3, h, w) and (3, s·h, s·w) uint8 -> (h, w) and (s·h, s·w) float64 in [0, 1].

    Under y-float, LR is computed from `hr`.
    """
    if protocol.name == "y-float":
        y_lr, target = protocol.degrade(hr, scale)
        return y_lr[0], rounded_luma(target)[0] / 255
    return luma(lr.double() / 255)[0], luma(hr.double() / 255)[0]


@torch.no_grad()
def upsample_channels(operator: Upsampler, image: Tensor, margin: int = 0) -> Tensor:
    """Upsample each channel of an image by an operator of one channel: (C, h, w) -> (C, s·h, s·w) float64.

    margin: LR pixels of replicate padding at each side, which are cropped from the output.

    >>> from upnet.upsample import Nearest
    >>> upsample_channels(Nearest(1, 2), torch.zeros(3, 4, 5), margin=2).shape
    torch.Size([3, 8, 10])
    """
    padded = F.pad(image.double()[:, None], (margin,) * 4, mode="replicate")
    output, border = operator.upsample_full(padded)[:, 0], int(operator.scale) * margin
    return output[:, border : output.shape[1] - border, border : output.shape[2] - border]


def _describe_store(store: Store) -> dict[str, int | str]:
    return {"digest": store.digest, "pictures": len(store), "lr_from": store.lr_from}


def _evaluate(
    fitted: Sequence[FittedOperator], store: Store, protocol: EvaluationProtocol, margin: int
) -> dict[str, dict[str, Score]]:
    """Scores by structure and image."""
    scale = store.scale
    scores: dict[str, dict[str, Score]] = {operator.name: {} for operator in fitted}
    images = StoreDataset(store)
    for index in tqdm(range(len(images)), f"{store.name} ×{scale}", unit="image", leave=False, disable=None):
        item = images[index]
        lr, target = item["lr"].double() / 255, item["hr"]
        if protocol.name == "y-float":
            lr, target = protocol.degrade(target, scale)
        for operator in fitted:
            output = upsample_channels(operator.operator, lr, margin)
            scores[operator.name][item["name"]] = protocol.evaluate(output, target, scale)
    return scores


def _structure_entry(fitted: FittedOperator, scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    """The entry of a structure in the JSON file. scores: by test set and image."""
    tests: dict[str, Any] = {}
    for name, images in scores.items():
        mean_score = mean(list(images.values()))
        scores_by_image = {image: score_dict(score) for image, score in images.items()}
        tests[name] = {**score_dict(mean_score), "images": scores_by_image}
        if mean_score.remark:
            tests[name]["remark"] = mean_score.remark
    return {
        "structure": fitted.name,
        "parameters": fitted.response.weight_count(),
        "taps": list(fitted.response.tap_counts()),
        "train_psnr": psnr_to_json(fitted.train_psnr),
        "tests": tests,
    }
